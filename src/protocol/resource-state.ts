/** What answers say of the state of a resource. */
import type { ResourceInfo } from '../storage/adapter.ts'

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
