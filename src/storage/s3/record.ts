/**
 * The record of a key, which holds its state beyond the finished object. It exists while an upload is unfinished,
 * while a version is being published, and for a while after a removal. It is one JSON line, followed by the inline
 * bytes: those of an upload that are too few for a data object of their own.
 */
import type { ResourceState } from '../adapter.ts'

/** Where a run of bytes is stored. */
export type Extent =
  /** A range of a data object. */
  | DataExtent
  /** A range of the finished object, as it was with this entity tag. */
  | ObjectExtent
  /** Bytes that follow the JSON line of the record. */
  | { readonly kind: 'inline'; readonly offset: number; readonly length: number }
  /** Zeros that are stored nowhere. */
  | { readonly kind: 'zeros'; readonly length: number }

/** A range of a data object. */
export interface DataExtent {
  readonly kind: 'data'
  /** Whole name of the object. */
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
  /** UUID, the entity tag of the resource without quotes. */
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
  /** The version that the object will have. */
  readonly token: string
  /**
   * Id of the multipart upload that assembles the object. A process that aborts it prevents the publication. Null
   * if the object is written in one request, which any process may repeat with `next`.
   */
  readonly upload: string | null
  /** The version to write in one request; null with a multipart upload. */
  readonly next: VersionContent | null
  /** Whether the content of the record is an upload. Otherwise the object, or nothing, is the current version. */
  readonly isOpen: boolean
}

/** The JSON line of a record. */
export interface KeyRecord {
  /** `open`: the content is the current version. `finishing`: see `Pending`. `gone`: the key was removed. */
  readonly phase: 'open' | 'finishing' | 'gone'
  /** UUID of this write. It makes the record's entity tag unique, and identifies a write whose answer was lost. */
  readonly nonce: string
  /** Version of the finished object under the record; null if none. With another version the record is void. */
  readonly base: string | null
  /** The content; null if the phase is `gone`, or `finishing` without an upload. */
  readonly content: VersionContent | null
  /** Folder of the data objects of this upload. */
  readonly folder: string
  /** What is being published; null unless the phase is `finishing`. */
  readonly pending: Pending | null
  /**
   * Removed versions that a delayed request may bring back. An object with one of these versions counts as absent.
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
  if (end === -1) throw new Error('a record of the object store has no line')
  const parsed: unknown = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString())
  if (!isRecord(parsed)) throw new Error('a record of the object store has another format')
  const { format: _format, ...record } = parsed
  return { record, inline: bytes.subarray(end + 1) }
}

/** Checks the format number alone. Only this module writes records, so that their fields have the right types. */
function isRecord(value: unknown): value is KeyRecord & { readonly format: number } {
  return value instanceof Object && 'format' in value && value.format === FORMAT
}
