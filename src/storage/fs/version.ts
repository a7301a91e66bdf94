/**
 * Finds the current version of a resource without a lock. A writer changes the record and the files
 * one after the other, so that a reader may see one of them before the change and the other after
 * it. A version is therefore accepted only if the record and the file agree, or if two consecutive
 * reads of both have seen the same.
 */

import type { BigIntStats } from 'node:fs'
import type { ResourceInfo } from '../adapter.ts'
import { copyState } from '../state.ts'
import { SECOND } from './file-times.ts'
import { exactLstatIfThere, lstatIfThere } from './metadata.ts'
import { stagedPath } from './paths.ts'
import { findPublished } from './published.ts'
import type { ResourcePaths } from './paths.ts'
import type { Published } from './published.ts'
import { fileFingerprint } from './record.ts'
import type { FsRecord, Overlay } from './record.ts'
import { currentRecord } from './record-cache.ts'
import type { StoredRecord } from './record-cache.ts'
import { trustedSize } from './durable-size.ts'
import { completeInfo, foreignInfo, incompleteInfo } from './version-info.ts'
import type { DataStats } from './version-info.ts'

/** The version that is stored under a key. */
export type Found = Absent | Incomplete | Complete

interface Stored {
  /**
   * The record on the disk; null if there is none. After an interrupted change it may describe
   * another version than this one. The names of tickets are derived from it (`fence.ts`).
   */
  readonly stored: FsRecord | null
}

/** No resource exists under the key. */
export interface Absent extends Stored {
  readonly kind: 'absent'
  /** Whether a directory, a link or a device at the path prevents the publication of a resource. */
  readonly isBlocked: boolean
  /** Identifies the version: two calls of `find` return the same text for the same version only. */
  readonly revision: string
}

/** An incomplete resource: an upload of which bytes are still missing. */
export interface Incomplete extends Stored {
  readonly kind: 'incomplete'
  /** The record of this version. */
  readonly record: FsRecord
  /** Absolute path of the file with its bytes. */
  readonly path: string
  /**
   * Largest number of bytes of that file that count; infinite unless the page cache was lost or an
   * fsync has failed (`durable-size.ts`).
   */
  readonly limit: number
  /** The version as the protocol sees it. */
  readonly info: ResourceInfo
  /**
   * The text of the record. It stays the same after an append, which changes the data file alone,
   * so that a writer compares the size too.
   */
  readonly revision: string
}

/** A finished resource. */
export interface Complete extends Stored {
  readonly kind: 'complete'
  /** The record of this version; null for a file of another program. */
  readonly record: FsRecord | null
  /** Absolute path of the file with its bytes. */
  readonly path: string
  /** Fingerprint of that file: its inode number, size and time. */
  readonly fingerprint: string
  /**
   * Identifies that file by its inode, its birth and its size, even after another program has
   * changed its time; empty where the file system records no time of birth.
   */
  readonly origin: string
  /** The layers through which the file is read; null if the version is the file alone. */
  readonly overlay: Overlay | null
  /**
   * Name of the file in the staging directory if a commit was interrupted between its record and
   * the rename of the file; null if the file is at its published path.
   */
  readonly unpublished: string | null
  /** The version as the protocol sees it. */
  readonly info: ResourceInfo
  /** Identifies the version: two calls of `find` return the same text for the same version only. */
  readonly revision: string
}

/** The stored record of a resource that has none. */
const ABSENT: StoredRecord = { text: '', record: null }

/** Largest number of attempts, each of which has seen the resource change. */
const MAX_TRIES = 100

/**
 * Finds the current version. Takes no lock, and changes nothing on the disk.
 *
 * @throws UploadError `ERR_KEY` when the path exists in another spelling.
 * @throws Error when the resource changes during each of 100 attempts.
 */
export async function find(paths: ResourcePaths): Promise<Found> {
  let last: string | null = null
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const stored = (await currentRecord(paths)) ?? ABSENT
    const { text, record } = stored
    const agreed = record === null ? null : await follow(paths, record, stored)
    if (agreed !== null) return agreed
    const published = await findPublished(paths)
    const isStable = record === null && published.kind !== 'file'
    // Another process may publish a version between our read of the record and our stat of the
    // file, so that the record and the file belong to two versions. A file without a matching
    // record is accepted only after two consecutive attempts have seen the same record and the same
    // file. Then another program has put the file there, and the record is out of date.
    const seen = `${published.kind === 'file' ? fileIdentity(published.stat) : published.kind} ${text}`
    if (isStable || seen === last) return withoutData(paths, published, record)
    last = seen
  }
  throw new Error(`the resource has changed during ${MAX_TRIES} attempts to read it`)
}

/**
 * Identifies a file even while another program writes to it: in contrast to the fingerprint it does
 * not contain the size and the time. `find` would otherwise never see the same file twice.
 */
function fileIdentity(found: BigIntStats): string {
  // The time of birth is zero where the file system records none. The inode number alone is not
  // enough, because the system may give it to the next file at once.
  const { ino, birthtimeNs } = found
  return birthtimeNs > 0n ? `${ino}-${birthtimeNs}` : fileFingerprint(found)
}

/**
 * Returns the version that `record` describes, at the published path or in the staging directory;
 * null if neither has a file that agrees with the record.
 */
async function follow(
  paths: ResourcePaths,
  record: FsRecord,
  stored: StoredRecord,
): Promise<Found | null> {
  const { text: revision } = stored
  const data = stagedPath(paths, record.data)
  if (!record.state.complete) {
    const found = await lstatIfThere(paths, data)
    if (found === null || !found.isFile()) return null
    if (record.committedSize === null && (await hasAppendBegun(paths, data, found, stored)))
      return null
    const limit = await trustedSize(paths, record, found)
    const info = incompleteInfo(record, found, limit)
    return { kind: 'incomplete', record, stored: record, path: data, limit, info, revision }
  }
  const published = await findPublished(paths)
  if (published.kind === 'file' && fileFingerprint(published.stat) === record.published) {
    return complete(record, record, paths.published, published.stat, revision)
  }
  const unpublished = await exactLstatIfThere(paths, data)
  // The fingerprint must match here too: a backup that was restored in part may have left an
  // earlier state of the data file under the same name.
  if (unpublished === null || !unpublished.isFile()) return null
  if (fileFingerprint(unpublished) !== record.published && !isRestored(unpublished, record))
    return null
  const found = complete(record, record, data, unpublished, revision)
  return { ...found, unpublished: record.data }
}

/**
 * Returns whether the size of `found` may include bytes of an atomic append that is not committed
 * and may still be rolled back:
 *
 *     reader                         atomic writer
 *     reads record R
 *                                    notes the committed size in a new record, appends
 *     stats the file: too long
 *                                    rolls back: truncates the file, the record is R again
 *     reads the record: R
 *
 * The second read of the record detects an append in progress. The second stat detects an append
 * that was rolled back meanwhile, because the file is shorter then. It is not needed where both
 * reads return the same object, because the cache has then seen the same file of the record twice.
 */
async function hasAppendBegun(
  paths: ResourcePaths,
  data: string,
  found: DataStats,
  stored: StoredRecord,
): Promise<boolean> {
  const current = await currentRecord(paths)
  if (current === stored) return false
  if (current?.text !== stored.text) return true
  const later = await lstatIfThere(paths, data)
  return later === null || later.size < found.size
}

/**
 * Returns the version of a resource whose record has no matching file, or that has no record. It is
 * absent, or a file that another program has put at the path.
 */
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
 * Returns whether a file is a copy of the recorded version that a backup tool has restored. Such a
 * copy has another inode number, and the same time or, in the default format of tar, the time cut
 * to whole seconds. A time of a whole second proves nothing for a new file, because another program
 * may have written the file in that second. A restored file is newer than its own time: its
 * `ctime`, which no tool can set, is at least two seconds later.
 */
function isRestored({ size, mtimeNs, ctimeNs }: BigIntStats, { published }: FsRecord): boolean {
  const [, ownSize, ownTime] = /-(\d+)-(\d+)$/.exec(published ?? '') ?? []
  if (ownSize !== String(size) || ownTime === undefined) return false
  if (mtimeNs % SECOND !== 0n) return ownTime === String(mtimeNs)
  return BigInt(ownTime) / SECOND === mtimeNs / SECOND && ctimeNs - mtimeNs >= 2n * SECOND
}

/**
 * Returns whether the file below the layers is still the same, apart from its time. If `touch` on
 * the file made the layers invalid, all patches since the last rebuild would be lost. A file of
 * another size was written by another program, and the layers do not fit it.
 */
function isTouched(found: BigIntStats, { overlay }: FsRecord): boolean {
  return overlay !== null && overlay.origin !== '' && overlay.origin === originOf(found)
}

/**
 * Identifies a file by its inode, its time of birth and its size; empty where the file system
 * records no time of birth. In contrast to the fingerprint it does not change when a program sets
 * the time.
 */
export function originOf({ ino, birthtimeNs, size }: BigIntStats): string {
  return birthtimeNs > 0n ? `${ino}-${birthtimeNs}-${size}` : ''
}

/**
 * Returns the version of a file with layers whose time another program has set. The layers count,
 * but the entity tag and the state are those of a file of another program, because its bytes may
 * have changed with the time. A rebuild stores the record of this version, so that the entity tag
 * stays the same. The tag begins with the tag on the disk, from which the tickets are named
 * (`fence.ts`).
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

/**
 * Returns the version of a finished file. `record` describes it, or is null for a file of another
 * program; `stored` is the record on the disk.
 */
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

/** Returns the size of a finished version: with layers it may differ from that of the file. */
function sizeOf({ overlay }: FsRecord, { size }: BigIntStats): number {
  return overlay?.size ?? Number(size)
}
