/**
 * Stores the version and the state of a finished object in its metadata, and reads them from there.
 */
import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { copyState } from '../state.ts'
import type { ObjectHeaders, ObjectInfo } from './bucket.ts'
import type { VersionContent } from './record.ts'

/** Name of the metadata field, which S3 sends as `x-amz-meta-partial-upload`. */
const FIELD = 'partial-upload'
/**
 * Longest value of the metadata field in bytes. S3 allows 2 KiB of metadata per object, names
 * included.
 */
const MAX_FIELD_LENGTH = 2000
/**
 * Longest `Content-Type` and `Content-Disposition` that an object is stored with. S3 allows 2 KiB
 * for both together.
 */
const MAX_HEADER_LENGTH = 1000
/** Largest number of versions in `FinishedObject.creations`. */
const MAX_CREATIONS = 8
/** The `Content-Type` that S3 reports for an object that was put without one. */
const S3_DEFAULT_TYPE = 'binary/octet-stream'

/** A finished object that was read. */
export interface FinishedObject {
  /**
   * Version of the object. If another tool has put the object, it is derived from its entity tag
   * and time.
   */
  readonly version: string
  readonly info: ResourceInfo
  /**
   * Versions that have created an object under this key, before and after removals; the newest 8 of
   * them. A removal lists them: see `KeyRecord.removed`.
   */
  readonly creations: readonly string[]
  /**
   * Whether the state of the version is stored in an object of its own. `info` then has the state
   * of an object that another tool has put.
   */
  readonly hasLongState: boolean
  readonly etag: string
  readonly versionId: string | null
}

/** Content of the metadata field: JSON in base64url. */
interface Stored {
  readonly version: string
  readonly time: number
  readonly size: number
  /** The state; null if it is too long for the metadata, and is stored in an object of its own. */
  readonly state: ResourceState | null
  readonly creations: readonly string[]
}

/**
 * Makes the headers of the object that publishes a version. The state is stored as JSON in
 * base64url, because a header field carries printable ASCII only. With `isLong` the headers do not
 * have the state, because it is too long.
 */
export function objectHeaders(
  { version, state, time, size }: Omit<VersionContent, 'extents'>,
  creations: readonly string[],
): { readonly headers: ObjectHeaders; readonly isLong: boolean } {
  const stored: Stored = { version, time, size, state, creations: creations.slice(-MAX_CREATIONS) }
  const isLong = encoded(stored).length > MAX_FIELD_LENGTH
  const headers = {
    contentType: headerSafe(state.contentType),
    contentDisposition: headerSafe(state.contentDisposition),
    metadata: { [FIELD]: encoded(isLong ? { ...stored, state: null } : stored) },
  }
  return { headers, isLong }
}

function encoded(stored: Stored): string {
  return Buffer.from(JSON.stringify(stored)).toString('base64url')
}

/** Reads the version of an object. */
export function finishedObject(object: ObjectInfo): FinishedObject {
  const { etag, versionId } = object
  const stored = parseStored(object.metadata[FIELD])
  // Another tool may overwrite the object and copy its metadata. In most of these cases the size
  // differs from the stored one.
  if (stored === null || stored.size !== object.size) return foreignObject(object)
  const { version, time, size, creations } = stored
  const state = stored.state ?? foreignState(object)
  const info = infoOf({ version, time, size, state })
  return { version, info, creations, hasLongState: stored.state === null, etag, versionId }
}

/** Describes an object that another tool has put. */
function foreignObject(object: ObjectInfo): FinishedObject {
  const { etag, size, lastModified, versionId } = object
  const time = lastModified.getTime()
  const version = `${etag.replaceAll('"', '')}-${time}${versionId === null ? '' : `-${versionId}`}`
  const info = infoOf({ version, time, size, state: foreignState(object) })
  return { version, info, creations: [], hasLongState: false, etag, versionId }
}

/** Returns the state of an object whose metadata does not have it. */
function foreignState({ size, contentType }: ObjectInfo): ResourceState {
  return {
    complete: true,
    everComplete: true,
    completeLength: size,
    contentType: contentType === S3_DEFAULT_TYPE ? null : contentType,
    contentDisposition: null,
    reprDigest: null,
    owner: null,
  }
}

/** Describes a version to the protocol. */
export function infoOf({
  version,
  time,
  size,
  state,
}: Omit<VersionContent, 'extents'>): ResourceInfo {
  return { ...copyState(state), size, etag: `"${version}"`, lastModified: new Date(time) }
}

function parseStored(field: string | undefined): Stored | null {
  if (field === undefined) return null
  try {
    const parsed: unknown = JSON.parse(Buffer.from(field, 'base64url').toString())
    return isStored(parsed) ? parsed : null
  } catch {
    return null
  }
}

function isStored(value: unknown): value is Stored {
  return (
    value instanceof Object &&
    'version' in value &&
    typeof value.version === 'string' &&
    'size' in value &&
    'state' in value &&
    'creations' in value
  )
}

/**
 * Returns the value of a field that the store sends with the object; null if HTTP can't carry the
 * value, or if it is too long.
 */
function headerSafe(value: string | null): string | null {
  if (value === null || value.length > MAX_HEADER_LENGTH) return null
  return /^[\x20-\x7e]+$/.test(value) ? value : null
}

/** Returns the id, the state and the time of the version that follows `base`. */
export function newVersion(
  state: ResourceState,
  base: ResourceInfo | null,
): Pick<VersionContent, 'version' | 'state' | 'time'> {
  // The clock of this process may be behind that of the process that has written the base. The time
  // of a later version must not be earlier.
  const time = Math.max(Date.now(), base?.lastModified.getTime() ?? 0)
  return { version: crypto.randomUUID(), state: copyState(state), time }
}
