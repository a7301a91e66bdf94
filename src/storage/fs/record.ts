/**
 * The record of a resource: a small JSON file in the staging directory that contains the state of
 * the resource, and the name of the file with its bytes. A record is replaced as a whole by a
 * rename (`fence.ts`), so that a reader finds the old or the new one and never a part of one.
 */

import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import type { ResourceState } from '../adapter.ts'
import { copyState } from '../state.ts'
import { readWhole } from './io.ts'
import type { ResourcePaths } from './paths.ts'

/** Bytes that the first read of a record asks for. Nearly all records are shorter. */
const RECORD_SIZE = 2048

/**
 * The names of data files that this package makes. A record with any other name is refused: it
 * could lead to a file outside of the staging directory, if another program had written it.
 */
const DATA_NAME = /^[\w-]{43}\.[\w-]{12}\.data$/

/** The names of layers, which are checked for the same reason. */
const LAYER_NAME = /^[\w-]{43}\.[\w-]{12}\.patch$/

/** The layers through which the file of a finished version is read (`layers/layer-index.ts`). */
export interface Overlay {
  /** Size of the version in bytes. */
  readonly size: number
  /**
   * Identifies the file below the layers by its inode, birth and size, even after another program
   * has changed its time; empty where the file system records no time of birth.
   */
  readonly origin: string
  /** Names of the layers in the staging directory, the oldest first. At least one. */
  readonly layers: readonly string[]
}

/** The content of a record. */
export interface FsRecord {
  /** The key. The name of the record is only its hash, from which the key can't be derived. */
  readonly key: string
  /** The state as the protocol has passed it to `commit`. */
  readonly state: ResourceState
  /**
   * 128 random bits, with which the entity tag begins. Every change except an append makes a new
   * tag.
   */
  readonly tag: string
  /**
   * Name of the data file. It is in the staging directory until the resource is published, when it
   * is renamed to the path of the resource.
   */
  readonly data: string
  /**
   * Modification date of the version in milliseconds since 1970. An append does not change the
   * record, so that only the time of the data file shows it.
   */
  readonly lastModified: number
  /**
   * Bytes of the data file that count while an atomic write appends to the file; null if all bytes
   * count. After a crash during the append, the next writer truncates the file to this size.
   */
  readonly committedSize: number | null
  /** Bytes of the data file that had been fsynced when the record was written. */
  readonly durableSize: number
  /**
   * Identifies the page cache that holds the bytes which had not been fsynced (`page-cache.ts`);
   * empty if the length of the file always counts, because the app has chosen `fsync: 'never'`.
   */
  readonly pageCache: string
  /**
   * Whether a writer overwrites bytes in place. Until it has ended, each read of the resource
   * returns a new entity tag, because the bytes change while the tag in the record stays the same.
   */
  readonly isDirty: boolean
  /**
   * Fingerprint of the file at the published path; null if it has none. For a complete version it
   * is the file of this version. For an incomplete version it is the file of the finished version
   * that was replaced, and that a writer still has to remove.
   */
  readonly published: string | null
  /** The layers over the published file; null if the version is that file alone. */
  readonly overlay: Overlay | null
  /**
   * Permissions that the finished file gets; null for those of a new file. A finished version that
   * was reopened for appending has its permissions here, because its data file must stay writable
   * meanwhile.
   */
  readonly mode: number | null
}

/**
 * When a record has to be durable: `now`, before the call resolves, or `later`, whenever the system
 * writes it to the disk.
 */
export type Durability = 'now' | 'later'

/**
 * Distinguishes a file from all earlier and later files at its path. A rename changes neither the
 * inode number nor the size nor the modification time, so that a staged file has the same
 * fingerprint after it was published.
 */
export function fileFingerprint({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`
}

/** Makes a tag that no version has had: 128 random bits. */
export function newTag(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * Formats a record as JSON. The member names are those of version 0.1.0, whose records may be in
 * the directory. Two versions of a resource never have the same text, and a record that was read is
 * formatted to the text that was read, because a writer compares the texts to detect a change by
 * another writer. Members that version 0.1.0 does not know are therefore left out when they are
 * null.
 */
export function formatRecord(record: FsRecord): string {
  const { contentDisposition } = record.state
  return JSON.stringify({
    key: record.key,
    state: { ...copyState(record.state), contentDisposition: contentDisposition ?? undefined },
    tag: record.tag,
    data: record.data,
    lastModified: record.lastModified,
    pinnedSize: record.committedSize,
    safeSize: record.durableSize,
    boot: record.pageCache,
    unsettled: record.isDirty,
    published: formatPublished(record),
    mode: record.mode ?? undefined,
  })
}

/**
 * Formats a fingerprint with layers as an object. A version of this package that does not know
 * layers expects a string, and refuses the record. If it ignored the layers instead, it would serve
 * the bytes of the file alone under the entity tag of the patched version.
 */
function formatPublished({ published, overlay }: FsRecord): unknown {
  return overlay === null ? published : { file: published, ...overlay }
}

/** Reads the text of the record; null if the resource has none. */
export async function readRecord({
  record,
}: Pick<ResourcePaths, 'record'>): Promise<string | null> {
  return (await readWhole(record, RECORD_SIZE))?.toString() ?? null
}

/** Reads the record; null if the resource has none, or if the file is damaged. */
export async function loadRecord(paths: Pick<ResourcePaths, 'record'>): Promise<FsRecord | null> {
  const text = await readRecord(paths)
  return text === null ? null : parseRecord(text)
}

/**
 * Parses the text of a record. Returns null for any other text, because a power cut may leave an
 * empty or a damaged file where a record was not fsynced.
 */
export function parseRecord(text: string): FsRecord | null {
  const value = parseJson(text)
  if (!isObject(value)) return null
  const { key, tag, data, lastModified, pinnedSize, safeSize, boot, unsettled } = value
  const { published, overlay } = parsePublished(value['published'])
  const mode = value['mode'] ?? null
  const state = parseState(value['state'])
  if (state === null || typeof data !== 'string' || !DATA_NAME.test(data)) return null
  if (typeof key !== 'string' || typeof tag !== 'string' || typeof boot !== 'string') return null
  if (typeof lastModified !== 'number' || typeof safeSize !== 'number') return null
  if (typeof unsettled !== 'boolean' || !isNullOr('string', published)) return null
  if (!isNullOr('number', pinnedSize) || !isNullOr('number', mode)) return null
  return {
    key,
    state,
    tag,
    data,
    lastModified,
    committedSize: pinnedSize,
    durableSize: safeSize,
    pageCache: boot,
    isDirty: unsettled,
    published,
    overlay,
    mode,
  }
}

function parsePublished(value: unknown): { published: unknown; overlay: Overlay | null } {
  if (!isObject(value)) return { published: value, overlay: null }
  const { file, size, origin, layers } = value
  const isSound =
    typeof file === 'string' &&
    typeof size === 'number' &&
    typeof origin === 'string' &&
    isListOfLayers(layers)
  // `undefined` is not an allowed value of `published`, so that the whole record is refused.
  if (!isSound) return { published: undefined, overlay: null }
  return { published: file, overlay: { size, origin, layers } }
}

function isListOfLayers(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return false
  return value.every((name) => typeof name === 'string' && LAYER_NAME.test(name))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function parseState(value: unknown): ResourceState | null {
  if (!isObject(value)) return null
  const { complete, everComplete, completeLength, contentType, reprDigest, owner } = value
  const contentDisposition = value['contentDisposition'] ?? null
  if (typeof complete !== 'boolean' || typeof everComplete !== 'boolean') return null
  if (!isNullOr('number', completeLength) || !isNullOr('string', contentType)) return null
  if (!isNullOr('string', contentDisposition) || !isNullOr('string', reprDigest)) return null
  if (!isNullOr('string', owner)) return null
  return {
    complete,
    everComplete,
    completeLength,
    contentType,
    contentDisposition,
    reprDigest,
    owner,
  }
}

interface Types {
  readonly string: string
  readonly number: number
}

function isNullOr<T extends keyof Types>(type: T, value: unknown): value is Types[T] | null {
  return value === null || typeof value === type
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
