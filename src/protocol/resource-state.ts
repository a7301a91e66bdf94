/** The state of a resource: what a write makes of it, and what answers say of it. */
import type { ResourceInfo, ResourceState } from '../storage/adapter.ts'

/** What a request says of a resource that it may create. */
type NewState = Omit<ResourceState, 'complete' | 'everComplete'>

/** The state of a resource that a write has created, until the write reaches its end. */
export function newState(given: NewState): ResourceState {
  return { ...given, complete: false, everComplete: false }
}

/** The state after a PUT of `size` bytes. */
export function replacedState(
  initial: ResourceState,
  size: number,
  reprDigest: string | null,
): ResourceState {
  return { ...initial, complete: true, everComplete: true, completeLength: size, reprDigest }
}

/** What a patch says and does; null for what it does not say. */
export interface PatchOutcome extends NewState {
  readonly complete: boolean
  /** Whether a byte differs from the base. */
  readonly changed: boolean
}

/** The state after a patch. */
export function patchedState(base: ResourceInfo | null, patch: PatchOutcome): ResourceState {
  const { complete, completeLength, changed } = patch
  // The digest of a finished resource is of its bytes; that of an upload is of what is to come.
  const isOutdated = base?.complete && (changed || completeLength !== base.completeLength)
  const earlier = base === null || isOutdated ? null : base.reprDigest
  return {
    complete,
    everComplete: complete || (base?.everComplete ?? false),
    completeLength,
    contentType: patch.contentType ?? base?.contentType ?? null,
    contentDisposition: patch.contentDisposition ?? base?.contentDisposition ?? null,
    reprDigest: patch.reprDigest ?? earlier,
    // An upload keeps its owner until it is complete; to change a finished resource is a new upload.
    owner: base === null || base.complete ? patch.owner : base.owner,
  }
}

/** The members `received`, `length` and `complete` of a problem or a progress document. */
interface ProgressMembers {
  readonly received: number
  readonly length: number | null
  readonly complete: boolean
}

/** Describes how far an upload is; null stands for a resource that does not exist. */
export function progressMembers(info: ResourceInfo | null): ProgressMembers {
  if (info === null) return { received: 0, length: null, complete: false }
  const { size, completeLength, complete } = info
  return { received: size, length: complete ? size : completeLength, complete }
}

/**
 * The declared length of an incomplete resource as `Upload-Length`, a field of "Resumable Uploads for
 * HTTP". It says what `Content-Range` says on a 299, which some caches refuse outside 206 and 416.
 */
export function uploadLength(info: ResourceInfo | null): Readonly<Record<string, string>> {
  if (info === null || info.complete || info.completeLength === null) return {}
  return { 'Upload-Length': String(info.completeLength) }
}
