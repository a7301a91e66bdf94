/**
 * Which version of a resource is the current one. The record and the files change one after the
 * other, so what is found is believed only where they agree, or where the record has stayed the same
 * meanwhile.
 */

import type { BigIntStats } from 'node:fs'
import type { ResourceInfo } from '../adapter.ts'
import { SECOND, mayComeBack } from './file-times.ts'
import { exactLstatIfThere, lstatIfThere } from './metadata.ts'
import { stagedPath } from './paths.ts'
import { lookUp } from './published.ts'
import type { ResourcePaths } from './paths.ts'
import type { Published } from './published.ts'
import { fileFingerprint, newTag } from './record.ts'
import type { FsRecord } from './record.ts'
import { currentRecord } from './record-cache.ts'
import { trustedSize } from './durable-size.ts'

/** What is stored under a key. */
export type Found = Absent | Incomplete | Complete

interface Stored {
  /** The record on the disk, which may describe an earlier version than this one; null if none is. */
  readonly stored: FsRecord | null
}

/** No resource. */
export interface Absent extends Stored {
  readonly kind: 'absent'
  /** Something stands at the path that is no resource, so that none can come to be. */
  readonly isBlocked: boolean
  /** Equal for two looks at the same version, and for no others. */
  readonly revision: string
}

/** A resource whose bytes have not all arrived. */
export interface Incomplete extends Stored {
  readonly kind: 'incomplete'
  /** The record. */
  readonly record: FsRecord
  /** The file with its bytes. */
  readonly path: string
  /** Bytes of that file that count at most. */
  readonly limit: number
  /** The version. */
  readonly info: ResourceInfo
  /** Equal for two looks at the same version or at one that was only appended to. */
  readonly revision: string
}

/** A finished resource. */
export interface Complete extends Stored {
  readonly kind: 'complete'
  /** The record; null for a file that another program put there. */
  readonly record: FsRecord | null
  /** The file with its bytes. */
  readonly path: string
  /** The file's identity. */
  readonly fingerprint: string
  /** Name in the hidden folder, where a commit that did not end has left the file; else null. */
  readonly unpublished: string | null
  /** The version. */
  readonly info: ResourceInfo
  /** Equal for two looks at the same version, and for no others. */
  readonly revision: string
}

/** Stands for the record that does not exist. */
const ABSENT = { text: '', record: null }

/** Changes that may come in the middle of a look; after so many it ends. */
const MAX_TRIES = 100

/**
 * Finds the current version.
 *
 * @throws Error when there is another one in the middle of each look.
 */
export async function find(paths: ResourcePaths): Promise<Found> {
  let last: string | null = null
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { text, record } = (await currentRecord(paths)) ?? ABSENT
    const agreed = record === null ? null : await follow(paths, record, text)
    if (agreed !== null) return agreed
    const published = await lookUp(paths)
    const isStable = record === null && published.kind !== 'file'
    // The same file twice: of several versions each may have gone before its record was looked for.
    const look = `${published.kind === 'file' ? fileIdentity(published.stat) : published.kind} ${text}`
    if (isStable || look === last) return withoutData(paths, published, record)
    last = look
  }
  throw new Error('the resource changes too fast to be looked at')
}

/** Tells a file from every other that was at its path, even while another program writes to it. */
function fileIdentity(found: BigIntStats): string {
  // Zero where the file system does not tell. The number alone goes to the next file at once.
  const { ino, birthtimeNs } = found
  return birthtimeNs > 0n ? `${ino}-${birthtimeNs}` : fileFingerprint(found)
}

/** The version that `record` tells of; null if there are no files that bear it out. */
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
  // A backup that was restored in part may have left an earlier half of the file there.
  if (unpublished === null || !unpublished.isFile()) return null
  if (fileFingerprint(unpublished) !== record.published && !isRestored(unpublished, record))
    return null
  const found = complete(record, record, data, unpublished, revision)
  return { ...found, unpublished: record.data }
}

/**
 * True if an atomic append may have begun after the record was read: an atomic writer pins the size in
 * the record, then appends, and only then we stat, so that the size would show uncommitted bytes. If
 * the writer has taken them back meanwhile, the record is as before, but the file is shorter.
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

/** What there is when the record, if any, has lost its data. */
function withoutData(paths: ResourcePaths, published: Published, record: FsRecord | null): Found {
  if (published.kind !== 'file') {
    const isBlocked = published.kind === 'blocked'
    return { kind: 'absent', stored: record, isBlocked, revision: '' }
  }
  const revision = `${fileFingerprint(published.stat)}-${published.stat.ctimeNs}`
  if (record?.state.complete === true && isRestored(published.stat, record)) {
    return complete(record, record, paths.published, published.stat, revision)
  }
  return complete(null, record, paths.published, published.stat, revision)
}

/**
 * Returns whether a file is this version all the same: a backup restores a copy with another number and
 * the same time, or, like the default format of tar, the same second. A whole second proves nothing about
 * a file that is just as new, because another program may have made it in that second.
 */
function isRestored({ size, mtimeNs, ctimeNs }: BigIntStats, { published }: FsRecord): boolean {
  const [, ownSize, ownTime] = /-(\d+)-(\d+)$/.exec(published ?? '') ?? []
  if (ownSize !== String(size) || ownTime === undefined) return false
  if (mtimeNs % SECOND !== 0n) return ownTime === String(mtimeNs)
  return BigInt(ownTime) / SECOND === mtimeNs / SECOND && ctimeNs - mtimeNs >= 2n * SECOND
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
    unpublished: null,
    info: record === null ? foreignInfo(found) : completeInfo(record, Number(found.size)),
    revision,
  }
}

/** What the system tells of a data file. */
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
  // Between two writes in place the bytes have no name that could be told again. The time tells an
  // append from one that the system has lost.
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
