/**
 * Finds the current version of a resource without a lock. The record and the files change one after the
 * other, so that a reader may see one before and the other after a change. A version is accepted only if the
 * record and the file agree, or if two consecutive looks found the same.
 */

import type { BigIntStats } from 'node:fs'
import type { ResourceInfo } from '../adapter.ts'
import { copyState } from '../state.ts'
import { SECOND, mayComeBack } from './file-times.ts'
import { exactLstatIfThere, lstatIfThere } from './metadata.ts'
import { stagedPath } from './paths.ts'
import { lookUp } from './published.ts'
import type { ResourcePaths } from './paths.ts'
import type { Published } from './published.ts'
import { fileFingerprint, newTag } from './record.ts'
import type { FsRecord, Overlay } from './record.ts'
import { currentRecord } from './record-cache.ts'
import { trustedSize } from './durable-size.ts'

/** What is stored under a key. */
export type Found = Absent | Incomplete | Complete

interface Stored {
  /** The record on the disk, which may describe an earlier version than this one; null if there is none. */
  readonly stored: FsRecord | null
}

/** No resource. */
export interface Absent extends Stored {
  readonly kind: 'absent'
  /** A directory, a link or a device is at the path, so that no resource can be published there. */
  readonly isBlocked: boolean
  /** The same text for two looks at the same version, and for no others. */
  readonly revision: string
}

/** A resource whose bytes have not all arrived. */
export interface Incomplete extends Stored {
  readonly kind: 'incomplete'
  /** The record of this version. */
  readonly record: FsRecord
  /** The file with its bytes. */
  readonly path: string
  /** Bytes of that file that count at most. */
  readonly limit: number
  /** The version. */
  readonly info: ResourceInfo
  /** The same text for two looks at the same version, also after an append. */
  readonly revision: string
}

/** A finished resource. */
export interface Complete extends Stored {
  readonly kind: 'complete'
  /** The record of this version; null for a file of another program. */
  readonly record: FsRecord | null
  /** The file with its bytes. */
  readonly path: string
  /** The file's fingerprint. */
  readonly fingerprint: string
  /** Identifies the file while another program changes its time; empty if that is impossible. */
  readonly origin: string
  /** The layers over the file; null if there are none. */
  readonly overlay: Overlay | null
  /** Name of the file in the staging directory, where an interrupted commit has left it; else null. */
  readonly unpublished: string | null
  /** The version. */
  readonly info: ResourceInfo
  /** The same text for two looks at the same version, and for no others. */
  readonly revision: string
}

/** Stands for a missing record. */
const ABSENT = { text: '', record: null }

/** Looks at a resource that changes during each of them, before `find` gives up. */
const MAX_TRIES = 100

/**
 * Finds the current version.
 *
 * @throws Error when the resource changes during each of many looks.
 */
export async function find(paths: ResourcePaths): Promise<Found> {
  let last: string | null = null
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { text, record } = (await currentRecord(paths)) ?? ABSENT
    const agreed = record === null ? null : await follow(paths, record, text)
    if (agreed !== null) return agreed
    const published = await lookUp(paths)
    const isStable = record === null && published.kind !== 'file'
    // A file without a matching record is accepted only after two consecutive looks saw the same file,
    // because another process may publish and replace versions between our read of the record and our stat.
    const look = `${published.kind === 'file' ? fileIdentity(published.stat) : published.kind} ${text}`
    if (isStable || look === last) return withoutData(paths, published, record)
    last = look
  }
  throw new Error('the resource changes too fast to be looked at')
}

/**
 * Identifies a file even while another program writes to it: in contrast to the fingerprint it has no size
 * and no time of a change.
 */
function fileIdentity(found: BigIntStats): string {
  // The time of birth is zero where the file system has none. The inode number alone is not enough, because
  // it may be used again at once.
  const { ino, birthtimeNs } = found
  return birthtimeNs > 0n ? `${ino}-${birthtimeNs}` : fileFingerprint(found)
}

/** The version that `record` describes; null if no file agrees with it. */
async function follow(
  paths: ResourcePaths,
  record: FsRecord,
  revision: string,
): Promise<Found | null> {
  const data = stagedPath(paths, record.data)
  if (!record.state.complete) {
    const found = await lstatIfThere(paths, data)
    if (found === null || !found.isFile()) return null
    if (record.committedSize === null && (await hasAppendBegun(paths, data, found, revision)))
      return null
    const limit = await trustedSize(paths, record, found)
    const info = incompleteInfo(record, found, limit)
    return { kind: 'incomplete', record, stored: record, path: data, limit, info, revision }
  }
  const published = await lookUp(paths)
  if (published.kind === 'file' && fileFingerprint(published.stat) === record.published) {
    return complete(record, record, paths.published, published.stat, revision)
  }
  const unpublished = await exactLstatIfThere(paths, data)
  // A backup that was restored in part may have left an earlier state of the data file.
  if (unpublished === null || !unpublished.isFile()) return null
  if (fileFingerprint(unpublished) !== record.published && !isRestored(unpublished, record))
    return null
  const found = complete(record, record, data, unpublished, revision)
  return { ...found, unpublished: record.data }
}

/**
 * Returns whether the size of `found` may include bytes of an atomic append that is not committed:
 *
 *     reader                         atomic writer
 *     reads record R
 *                                    notes the committed size in a new record, appends
 *     stats the file: too long
 *                                    rolls back: truncates the file, the record is R again
 *     reads the record: R
 *
 * The second read of the record detects an append, and the second stat one that was rolled back.
 */
async function hasAppendBegun(
  paths: ResourcePaths,
  data: string,
  found: DataStats,
  revision: string,
): Promise<boolean> {
  if ((await currentRecord(paths))?.text !== revision) return true
  const later = await lstatIfThere(paths, data)
  return later === null || later.size < found.size
}

/** The version without a data file that belongs to the record: absent, or the file of another program. */
function withoutData(paths: ResourcePaths, published: Published, record: FsRecord | null): Found {
  if (published.kind !== 'file') {
    const isBlocked = published.kind === 'blocked'
    return { kind: 'absent', stored: record, isBlocked, revision: '' }
  }
  const revision = `${fileFingerprint(published.stat)}-${published.stat.ctimeNs}`
  if (record?.state.complete === true && isRestored(published.stat, record)) {
    return complete(record, record, paths.published, published.stat, revision)
  }
  if (record !== null && isTouched(published.stat, record)) {
    return touched(record, paths.published, published.stat, revision)
  }
  return complete(null, record, paths.published, published.stat, revision)
}

/**
 * Returns whether a file is a copy of the version that a backup has restored. Such a copy has another inode
 * number, and the same time or, with the default format of tar, the same second. A whole second proves
 * nothing for a new file, because another program may have created the file in that second.
 */
function isRestored({ size, mtimeNs, ctimeNs }: BigIntStats, { published }: FsRecord): boolean {
  const [, ownSize, ownTime] = /-(\d+)-(\d+)$/.exec(published ?? '') ?? []
  if (ownSize !== String(size) || ownTime === undefined) return false
  if (mtimeNs % SECOND !== 0n) return ownTime === String(mtimeNs)
  return BigInt(ownTime) / SECOND === mtimeNs / SECOND && ctimeNs - mtimeNs >= 2n * SECOND
}

/**
 * Returns whether a file below layers is still the same, but with another time. Without its layers, a change
 * of the time alone (`touch`) would take back all patches. A file of another size was written by another
 * program, and the layers do not fit it: appended bytes would lie outside of the version.
 */
function isTouched(found: BigIntStats, { overlay }: FsRecord): boolean {
  return overlay !== null && overlay.origin !== '' && overlay.origin === originOf(found)
}

/** Identifies a file by its inode, its birth and its size; empty where the file system has no time of birth. */
export function originOf({ ino, birthtimeNs, size }: BigIntStats): string {
  return birthtimeNs > 0n ? `${ino}-${birthtimeNs}-${size}` : ''
}

/**
 * The version whose file another program may have changed: the layers count, but the entity tag and the state
 * are those of a file of another program. A rebuild stores the record of this version, so that the version
 * keeps its entity tag. The tag begins with the tag on the disk, which names the tickets (`fence.ts`).
 */
function touched(stored: FsRecord, path: string, found: BigIntStats, revision: string): Complete {
  const { etag, lastModified, ...state } = foreignInfo(found)
  const record: FsRecord = {
    ...stored,
    state: { ...copyState(state), completeLength: sizeOf(stored, found) },
    tag: `${stored.tag}-${etag.slice(1, -1)}`,
    lastModified: lastModified.getTime(),
    published: fileFingerprint(found),
  }
  return complete(record, stored, path, found, `${revision} ${stored.tag}`)
}

function complete(
  record: FsRecord | null,
  stored: FsRecord | null,
  path: string,
  found: BigIntStats,
  revision: string,
): Complete {
  return {
    kind: 'complete',
    record,
    stored,
    path,
    fingerprint: fileFingerprint(found),
    origin: originOf(found),
    overlay: record?.overlay ?? null,
    unpublished: null,
    info: record === null ? foreignInfo(found) : completeInfo(record, sizeOf(record, found)),
    revision,
  }
}

function sizeOf({ overlay }: FsRecord, { size }: BigIntStats): number {
  return overlay?.size ?? Number(size)
}

/** The part of the metadata that describes a data file. */
interface DataStats {
  readonly size: number
  readonly mtimeMs: number
}

/** Describes an incomplete version by its record and data file, of which `limit` bytes count at most. */
export function incompleteInfo(
  record: FsRecord,
  file: DataStats,
  limit = Number.POSITIVE_INFINITY,
): ResourceInfo {
  const { state, tag, committedSize, lastModified, isDirty } = record
  const size = Math.min(file.size, limit, committedSize ?? file.size)
  const changed =
    committedSize === null ? Math.max(lastModified, Math.floor(file.mtimeMs)) : lastModified
  // While bytes are overwritten in place, no tag may be used twice. The time is a part of the tag because
  // an append that a power cut has lost may be followed by another one of the same length.
  const id = isDirty ? newTag() : [tag, size.toString(36), changed.toString(36)].join('.')
  return { ...state, size, etag: `"${id}"`, lastModified: notInFuture(changed) }
}

/** Describes a finished version. */
export function completeInfo(record: FsRecord, size: number): ResourceInfo {
  const { state, tag, lastModified } = record
  return { ...state, size, etag: `"${tag}"`, lastModified: notInFuture(lastModified) }
}

function foreignInfo(found: BigIntStats): ResourceInfo {
  const { ino, size, mtimeNs, mtimeMs, ctimeNs } = found
  const id = [ino, size, mtimeNs, ctimeNs].map((part) => part.toString(36)).join('-')
  return {
    complete: true,
    everComplete: true,
    completeLength: Number(size),
    contentType: null,
    contentDisposition: null,
    reprDigest: null,
    owner: null,
    size: Number(size),
    // A validator that two files may share is not strong (RFC 9110 §8.8.1).
    etag: `"${mayComeBack(found) ? newTag() : id}"`,
    lastModified: notInFuture(Number(mtimeMs)),
  }
}

function notInFuture(milliseconds: number): Date {
  return new Date(Math.min(milliseconds, Date.now()))
}
