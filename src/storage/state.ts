/** What all adapters do with the state of a resource: copy it and compare it. */

import type { ResourceState } from './adapter.ts'

/**
 * Copies the members of a state in a fixed order, and leaves out whatever else the object has: an
 * adapter gets whole infos as well, and two equal states have to become equal JSON.
 */
export function copyState(state: ResourceState): ResourceState {
  return {
    complete: state.complete,
    everComplete: state.everComplete,
    completeLength: state.completeLength,
    contentType: state.contentType,
    contentDisposition: state.contentDisposition,
    reprDigest: state.reprDigest,
    owner: state.owner,
  }
}

/** Returns whether two states are the same, so that a commit of one over the other changes nothing. */
export function sameState(a: ResourceState, b: ResourceState): boolean {
  return (
    a.complete === b.complete &&
    a.everComplete === b.everComplete &&
    a.completeLength === b.completeLength &&
    a.contentType === b.contentType &&
    a.contentDisposition === b.contentDisposition &&
    a.reprDigest === b.reprDigest &&
    a.owner === b.owner
  )
}
