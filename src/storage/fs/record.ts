/** The record of a resource, a JSON file: the state of the resource, and which file has its bytes. */

import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import type { ResourceState } from '../adapter.ts'
import { readWhole } from './io.ts'
import type { ResourcePaths } from './paths.ts'

const RECORD_SIZE = 2048

/** A file of the hidden folder, and never one elsewhere. */
const DATA_NAME = /^[\w-]{43}\.[\w-]{12}\.data$/

/** Members that records of version 0.1.0 do not have, and that are left out when they are null. */
const OPTIONAL: readonly string[] = ['contentDisposition', 'mode']

/** What is known of a resource. */
export interface FsRecord {
  /** The key, for whoever looks into the folder. */
  readonly key: string
  /** As the protocol gave it. */
  readonly state: ResourceState
  /** 128 random bits, the first part of the entity tag. Every change but an append has its own. */
  readonly tag: string
  /** Name of the data file in the hidden folder, where it is until the resource is finished. */
  readonly data: string
  /** When the version came to be, in milliseconds; an append shows in the data file's time. */
  readonly lastModified: number
  /** Bytes of the data file that count, while an atomic write appends to it; null if all do. */
  readonly pinnedSize: number | null
  /** Bytes of the data file that were on the disk when this was written. */
  readonly safeSize: number
  /**
   * The page cache that holds the other bytes (`page-cache.ts`); empty if the length always counts. The
   * member keeps the name of version 0.1.0, which wrote only the id of the boot.
   */
  readonly boot: string
  /** Bytes are being written over in place, and no entity tag names them until that has ended. */
  readonly unsettled: boolean
  /**
   * Identity of the published file: of this version if that is complete, otherwise of the finished
   * version that it has replaced and that is to be removed; null if there is none.
   */
  readonly published: string | null
  /**
   * Permissions that the finished file gets: those of the finished version that was reopened, since its
   * data file has to stay writable meanwhile; null for those of a new file.
   */
  readonly mode: number | null
}

/** Tells a file from every other that was at its path, across renames. */
export function identity({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`
}

/** Makes an unused tag. */
export function newTag(): string {
  return randomBytes(16).toString('base64url')
}

/** Copies what an adapter stores of `state`, and nothing else that the object may have. */
export function copyState(state: ResourceState): ResourceState {
  const { complete, everComplete, completeLength } = state
  const { contentType, contentDisposition, reprDigest, owner } = state
  const lengths = { complete, everComplete, completeLength }
  return { ...lengths, contentType, contentDisposition, reprDigest, owner }
}

/** Tells whether two states are the same. */
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

/**
 * The text of a record: two versions of a resource never share one. A record that was read has the text
 * that was read, because a writer compares the two; one of version 0.1.0 lacks the `OPTIONAL` members.
 */
export function formatRecord(record: FsRecord): string {
  return JSON.stringify(record, (name, value: unknown) =>
    OPTIONAL.includes(name) && value === null ? undefined : value,
  )
}

/** Reads the text of the record; null if there is none. */
export async function readRecord({
  record,
}: Pick<ResourcePaths, 'record'>): Promise<string | null> {
  return (await readWhole(record, RECORD_SIZE))?.toString() ?? null
}

/** Reads the record; null if there is none, or where a power cut has left something else. */
export async function loadRecord(paths: Pick<ResourcePaths, 'record'>): Promise<FsRecord | null> {
  const text = await readRecord(paths)
  return text === null ? null : parseRecord(text)
}

/** Reads the text of a record; null where a power cut has left something else. */
export function parseRecord(text: string): FsRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const record = withDefaults(value)
  // In the order of every other state, for those who compare its JSON.
  return isRecord(record) ? { ...record, state: copyState(record.state) } : null
}

/** Adds what records of version 0.1.0 do not have. The order of the members stays, see `formatRecord`. */
function withDefaults(value: unknown): unknown {
  if (!isObject(value) || !isObject(value['state'])) return value
  const { state } = value
  const contentDisposition = state['contentDisposition'] ?? null
  return { ...value, state: { ...state, contentDisposition }, mode: value['mode'] ?? null }
}

/** When a record has to outlive a power cut: at once, or whenever the system sees fit. */
export type Durability = 'now' | 'later'

function isRecord(value: unknown): value is FsRecord {
  return (
    isObject(value) &&
    isObject(value['state']) &&
    isState(value['state']) &&
    typeof value['key'] === 'string' &&
    typeof value['tag'] === 'string' &&
    typeof value['data'] === 'string' &&
    DATA_NAME.test(value['data']) &&
    typeof value['lastModified'] === 'number' &&
    (value['pinnedSize'] === null || typeof value['pinnedSize'] === 'number') &&
    typeof value['safeSize'] === 'number' &&
    typeof value['boot'] === 'string' &&
    typeof value['unsettled'] === 'boolean' &&
    (value['published'] === null || typeof value['published'] === 'string') &&
    (value['mode'] === null || typeof value['mode'] === 'number')
  )
}

function isState(value: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof value['complete'] === 'boolean' &&
    typeof value['everComplete'] === 'boolean' &&
    (value['completeLength'] === null || typeof value['completeLength'] === 'number') &&
    (value['contentType'] === null || typeof value['contentType'] === 'string') &&
    (value['contentDisposition'] === null || typeof value['contentDisposition'] === 'string') &&
    (value['reprDigest'] === null || typeof value['reprDigest'] === 'string') &&
    (value['owner'] === null || typeof value['owner'] === 'string')
  )
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
