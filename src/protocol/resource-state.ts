/**
 * Computes the state of a resource after a write, and the fields and members of answers that report
 * it.
 */
import type { ResourceInfo, ResourceState } from '../storage/adapter.ts'

/**
 * The properties that a request gives to the resource, whether it creates the resource or changes
 * it.
 */
type NewState = Omit<ResourceState, 'complete' | 'everComplete'>

/**
 * Returns the state of a resource that a write creates, which holds until the write has ended. It
 * is incomplete.
 */
export function newState(given: NewState): ResourceState {
  return { complete: false, everComplete: false, ...given }
}

/** Returns the state after a complete PUT of `size` bytes. */
export function replacedState(
  initial: ResourceState,
  size: number,
  reprDigest: string | null,
): ResourceState {
  return { ...initial, complete: true, everComplete: true, completeLength: size, reprDigest }
}

/** The result of a patch. A property is null if the patch does not have the field. */
export interface PatchOutcome extends NewState {
  readonly complete: boolean
  /** Whether a byte differs from the base. */
  readonly changed: boolean
}

/** Returns the state after a patch. A field that the patch does not have keeps its value. */
export function patchedState(base: ResourceInfo | null, patch: PatchOutcome): ResourceState {
  const { complete, completeLength, changed } = patch
  // The digest of a finished resource covers its bytes, and is outdated by a change. The digest of
  // an upload covers the finished resource, and stays valid.
  const isOutdated = base?.complete && (changed || completeLength !== base.completeLength)
  const earlier = base === null || isOutdated ? null : base.reprDigest
  return {
    complete,
    everComplete: complete || (base?.everComplete ?? false),
    completeLength,
    contentType: patch.contentType ?? base?.contentType ?? null,
    contentDisposition: patch.contentDisposition ?? base?.contentDisposition ?? null,
    reprDigest: patch.reprDigest ?? earlier,
    // An upload keeps its owner until it is complete. A change of a finished resource counts as a
    // new upload.
    owner: base === null || base.complete ? patch.owner : base.owner,
  }
}

/** The members `received`, `length` and `complete` of a problem or a progress document. */
interface ProgressMembers {
  readonly received: number
  readonly length: number | null
  readonly complete: boolean
}

/** Returns the progress of an upload; `info` is null for an absent resource. */
export function progressMembers(info: ResourceInfo | null): ProgressMembers {
  if (info === null) return { received: 0, length: null, complete: false }
  const { size, completeLength, complete } = info
  return { received: size, length: complete ? size : completeLength, complete }
}

/**
 * Returns the declared length of an incomplete resource as `Upload-Length`, a field of "Resumable
 * Uploads for HTTP". On a 299, `Content-Range` has the same length, but some caches refuse that
 * field outside 206 and 416.
 */
export function uploadLength(info: ResourceInfo | null): Readonly<Record<string, string>> {
  if (info === null || info.complete || info.completeLength === null) return {}
  return { 'Upload-Length': String(info.completeLength) }
}
