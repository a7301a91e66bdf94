/** Copies and compares the states of resources, for all adapters. */

import type { ResourceState } from './adapter.ts'

/**
 * Copies the members of a state in a fixed order, and no other members. Adapters are also passed
 * whole infos, and two equal states have to become the same JSON.
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

/**
 * Returns whether two states are equal, so that a commit of one over the other would change
 * nothing.
 */
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
