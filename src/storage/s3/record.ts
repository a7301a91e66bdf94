/**
 * The record of a key, an object that contains the state of the resource beyond its finished
 * object. A record exists while an upload is unfinished, while a version is being published, and
 * for a while after a removal (a tombstone). It consists of one JSON line and the inline bytes
 * after it: bytes of an upload that are too few for a data object of their own.
 */
import type { ResourceState } from '../adapter.ts'

/** Where a run of bytes of a version is stored. */
export type Extent =
  /** A range of a data object. */
  | DataExtent
  /** A range of the finished object that has this entity tag. */
  | ObjectExtent
  /** Bytes that follow the JSON line of the record. */
  | { readonly kind: 'inline'; readonly offset: number; readonly length: number }
  /** Zeros that are stored nowhere. */
  | { readonly kind: 'zeros'; readonly length: number }

/** A range of a data object. */
export interface DataExtent {
  readonly kind: 'data'
  /** Full name of the data object in the bucket. */
  readonly name: string
  readonly offset: number
  readonly length: number
}

/** A range of the finished object. */
export interface ObjectExtent {
  readonly kind: 'object'
  readonly etag: string
  readonly versionId: string | null
  readonly offset: number
  readonly length: number
}

/** The bytes and the state of a version. */
export interface VersionContent {
  /** UUID of the version. In quotes it is the entity tag of the resource. */
  readonly version: string
  readonly state: ResourceState
  /** Time of the last change, in milliseconds since 1970. */
  readonly time: number
  /** Length in bytes: the sum of the extents. */
  readonly size: number
  readonly extents: readonly Extent[]
}

/** A version that is being published. */
export interface Pending {
  /** The version that the finished object will have. */
  readonly token: string
  /**
   * Id of the multipart upload that assembles the object. A process that aborts it prevents the
   * publication. Null if the object is written by one request, which can't be aborted, and which
   * any process may repeat with `next`.
   */
  readonly upload: string | null
  /** The version to write in one request; null with a multipart upload. */
  readonly next: VersionContent | null
  /**
   * Whether the content of the record, an upload, is the current version until the publication.
   * Otherwise the current version is the finished object, or there is none.
   */
  readonly isOpen: boolean
}

/** The JSON line of a record. */
export interface KeyRecord {
  /**
   * `open`: the content is the current version. `finishing`: see `Pending`. `gone`: the key was
   * removed.
   */
  readonly phase: 'open' | 'finishing' | 'gone'
  /**
   * UUID of this write of the record. It makes the record's entity tag unique, and a writer
   * recognises by it a write of its own whose answer was lost.
   */
  readonly nonce: string
  /**
   * Version of the finished object when the record was written; null if there was none. If the
   * object has another version now, it was published after the record, and the record is void.
   */
  readonly base: string | null
  /** The content; null if the phase is `gone`, or `finishing` without an upload. */
  readonly content: VersionContent | null
  /** Folder of the upload's data objects, a part of their names. */
  readonly folder: string
  /** The version that is being published; null unless the phase is `finishing`. */
  readonly pending: Pending | null
  /**
   * Removed versions that a delayed write may create again. A finished object with one of these
   * versions counts as absent.
   */
  readonly removed: readonly string[]
}

/** A record as it was read or written. */
export interface StoredRecord {
  readonly record: KeyRecord
  /** The bytes after the JSON line. */
  readonly inline: Uint8Array
  /** Entity tag of the record in the object store, for the condition of the next write. */
  readonly etag: string
}

/** Number of this format. A record with another number is refused. */
const FORMAT = 1

/** Formats a record with its inline bytes. */
export function formatRecord(record: KeyRecord, inline: Uint8Array): readonly Uint8Array[] {
  const line = `${JSON.stringify({ format: FORMAT, ...record })}\n`
  return [Buffer.from(line), inline]
}

/**
 * Parses a record.
 *
 * @throws Error for anything that `formatRecord` has not made.
 */
export function parseRecord(bytes: Uint8Array): Pick<StoredRecord, 'record' | 'inline'> {
  const end = bytes.indexOf(0x0a)
  if (end === -1) throw new Error('a record in the object store has no JSON line')
  const parsed: unknown = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString())
  if (!isRecord(parsed)) throw new Error('a record in the object store has an unknown format')
  const { format: _format, ...record } = parsed
  return { record, inline: bytes.subarray(end + 1) }
}

/**
 * Checks the format number only: the objects below the internal prefix are written by this module,
 * so that their members have the right types.
 */
function isRecord(value: unknown): value is KeyRecord & { readonly format: number } {
  return value instanceof Object && 'format' in value && value.format === FORMAT
}
