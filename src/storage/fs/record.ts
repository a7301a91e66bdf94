/**
 * The record of a resource: a small JSON file in the staging directory that says which state the resource
 * has, and which file has its bytes. A record is replaced as a whole, by a rename (`fence.ts`).
 */

import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import type { ResourceState } from '../adapter.ts'
import { copyState } from '../state.ts'
import { readWhole } from './io.ts'
import type { ResourcePaths } from './paths.ts'

/** Bytes that one read asks for, because nearly all records are shorter. */
const RECORD_SIZE = 2048

/** A data file is in the staging directory itself: a record that names another path is not ours. */
const DATA_NAME = /^[\w-]{43}\.[\w-]{12}\.data$/

const LAYER_NAME = /^[\w-]{43}\.[\w-]{12}\.patch$/

/** The layers through which the file of a finished version is read (`layers/layer-index.ts`). */
export interface Overlay {
  /** Size of the version in bytes. */
  readonly size: number
  /**
   * Identifies the file below the layers even after another program has changed its time; empty where the file
   * system has no time of birth.
   */
  readonly origin: string
  /** Names of the layers in the staging directory, the oldest first. At least one. */
  readonly layers: readonly string[]
}

/** What the record says of a resource. */
export interface FsRecord {
  /** The key, because the name of the record is only its hash. */
  readonly key: string
  /** The state as the protocol gave it. */
  readonly state: ResourceState
  /** 128 random bits, the first part of the entity tag. Every change but an append makes a new one. */
  readonly tag: string
  /** Name of the data file, which is in the staging directory until the resource is published. */
  readonly data: string
  /** Time of the version in milliseconds; an append shows only in the time of the data file. */
  readonly lastModified: number
  /**
   * Bytes of the data file that count while an atomic write appends to it; null if all bytes count. A
   * crash in the append leaves this number, so that the next writer cuts the file back.
   */
  readonly committedSize: number | null
  /** Bytes of the data file that were durable when the record was written. */
  readonly durableSize: number
  /** The page cache that holds the other bytes (`page-cache.ts`); empty if the length always counts. */
  readonly pageCache: string
  /**
   * A writer overwrites bytes in place. Until it ends, each look returns a new entity tag, because
   * the bytes change under the one that is stored.
   */
  readonly isDirty: boolean
  /**
   * Fingerprint of the published file: of this version if that is complete, otherwise of the finished
   * version that it has replaced and that is to be removed; null if there is none.
   */
  readonly published: string | null
  /** The layers over the published file; null if the version is that file alone. */
  readonly overlay: Overlay | null
  /**
   * Permissions that the finished file gets: those of the finished version that was reopened, since its
   * data file has to stay writable until then; null for those of a new file.
   */
  readonly mode: number | null
}

/** When a record has to be durable: before the call resolves, or whenever the system writes it. */
export type Durability = 'now' | 'later'

/**
 * Distinguishes a file from every other one that was at its path. It survives a rename, because a rename
 * changes neither the inode number nor the size nor the time of the content.
 */
export function fileFingerprint({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`
}

/** Makes an unused tag. */
export function newTag(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * Formats a record under the member names of version 0.1.0, which a directory may hold records of. Two
 * versions of a resource never have the same text. A record that was read is formatted as it was read,
 * because a writer compares texts to detect a change: members that 0.1.0 lacks are left out when null.
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
 * An object in place of the fingerprint, because a version of this package that does not know layers then
 * refuses the record. If it ignored the layers instead, it would serve other bytes under this version's tag.
 */
function formatPublished({ published, overlay }: FsRecord): unknown {
  return overlay === null ? published : { file: published, ...overlay }
}

/** Reads the text of the record; null if there is none. */
export async function readRecord({
  record,
}: Pick<ResourcePaths, 'record'>): Promise<string | null> {
  return (await readWhole(record, RECORD_SIZE))?.toString() ?? null
}

/** Reads the record; null if there is none, or if it is damaged. */
export async function loadRecord(paths: Pick<ResourcePaths, 'record'>): Promise<FsRecord | null> {
  const text = await readRecord(paths)
  return text === null ? null : parseRecord(text)
}

/** Parses the text of a record; null where a power cut has left an empty or a damaged file. */
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
  // Not the type of `published` either, so that the whole record is refused.
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
