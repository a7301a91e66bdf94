/** Stores the version and state of a finished object in its metadata, and reads them back. */
import { UploadError } from '../../errors.ts'
import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { copyState } from '../state.ts'
import type { ObjectHeaders, ObjectInfo } from './bucket.ts'
import type { VersionContent } from './record.ts'

/** Name of the metadata field. */
const FIELD = 'partial-upload'
/** Longest value of the metadata field, in bytes: S3 allows 2 KiB of metadata in total, names included. */
const MAX_FIELD_LENGTH = 2000
/** Most versions in `FinishedObject.creations`. */
const MAX_CREATIONS = 8
/** The `Content-Type` that S3 reports for an object that was put without one. */
const S3_DEFAULT_TYPE = 'binary/octet-stream'

/** A finished object that was read. */
export interface FinishedObject {
  /** Version from the metadata. Derived from the entity tag and the time if another tool has put the object. */
  readonly version: string
  readonly info: ResourceInfo
  /** Versions that have created this key, before and after removals; the newest 8. See `KeyRecord.removed`. */
  readonly creations: readonly string[]
  readonly etag: string
  readonly versionId: string | null
}

/** Content of the metadata field: JSON in base64url. */
interface Stored {
  readonly version: string
  readonly time: number
  readonly size: number
  readonly state: ResourceState
  readonly creations: readonly string[]
}

/**
 * Makes the headers of the object that publishes a version.
 *
 * @throws UploadError `ERR_FIELD` when the state is too long for the metadata of an object.
 */
export function objectHeaders(
  { version, state, time, size }: Omit<VersionContent, 'extents'>,
  creations: readonly string[],
): ObjectHeaders {
  const stored: Stored = { version, time, size, state, creations: creations.slice(-MAX_CREATIONS) }
  const field = Buffer.from(JSON.stringify(stored)).toString('base64url')
  if (field.length > MAX_FIELD_LENGTH) {
    throw new UploadError('ERR_FIELD', {
      detail: 'type, name, digest and owner are together too long for the object store',
    })
  }
  return {
    contentType: headerSafe(state.contentType),
    contentDisposition: headerSafe(state.contentDisposition),
    metadata: { [FIELD]: field },
  }
}

/** Reads the version of an object. */
export function finishedObject(object: ObjectInfo): FinishedObject {
  const { etag, versionId } = object
  const stored = parseStored(object.metadata[FIELD])
  // Another tool may overwrite the object and copy its metadata. The size reveals most of these overwrites.
  if (stored === null || stored.size !== object.size) return foreignObject(object)
  const { version, time, size, state, creations } = stored
  const info = infoOf({ version, time, size, state })
  return { version, info, creations, etag, versionId }
}

function foreignObject(object: ObjectInfo): FinishedObject {
  const { etag, size, lastModified, versionId, contentType } = object
  const time = lastModified.getTime()
  const version = `${etag.replaceAll('"', '')}-${time}${versionId === null ? '' : `-${versionId}`}`
  const state: ResourceState = {
    complete: true,
    everComplete: true,
    completeLength: size,
    contentType: contentType === S3_DEFAULT_TYPE ? null : contentType,
    contentDisposition: null,
    reprDigest: null,
    owner: null,
  }
  return {
    version,
    info: infoOf({ version, time, size, state }),
    creations: [],
    etag,
    versionId,
  }
}

/** Makes the info of a version. */
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

/** A field value for the store to serve the object with; null if HTTP can't carry it. */
function headerSafe(value: string | null): string | null {
  return value !== null && /^[\x20-\x7e]+$/.test(value) ? value : null
}
