/**
 * Describes a version to the protocol: its size, entity tag and modification date, from the record
 * and the metadata of the file.
 */

import type { BigIntStats } from 'node:fs'
import type { ResourceInfo } from '../adapter.ts'
import { mayComeBack } from './file-times.ts'
import { newTag } from './record.ts'
import type { FsRecord } from './record.ts'

/** The metadata of a data file on which the description of an incomplete version depends. */
export interface DataStats {
  readonly size: number
  readonly mtimeMs: number
}

/**
 * Describes an incomplete version. Its size is the length of the data file, at most the committed
 * size of the record and at most `limit`, the bytes that are known to be durable after a lost page
 * cache.
 */
export function incompleteInfo(
  record: FsRecord,
  file: DataStats,
  limit = Number.POSITIVE_INFINITY,
): ResourceInfo {
  const { state, tag, committedSize, lastModified, isDirty } = record
  const size = Math.min(file.size, limit, committedSize ?? file.size)
  const changed =
    committedSize === null ? Math.max(lastModified, Math.floor(file.mtimeMs)) : lastModified
  // While a writer overwrites bytes in place, each call returns a new tag, so that no client can
  // use one as the validator of bytes that change. The size and the time of the file are parts of
  // the tag because an append changes them and not the record. The size alone is not enough: an
  // append that a power cut has lost may be followed by another one of the same length.
  const id = isDirty ? newTag() : [tag, size.toString(36), changed.toString(36)].join('.')
  // The state is spread last, because V8 takes microseconds to add properties after a spread.
  return { size, etag: `"${id}"`, lastModified: notInFuture(changed), ...state }
}

/**
 * Describes a finished version of `size` bytes, which is not the size of the file if it has layers.
 */
export function completeInfo(record: FsRecord, size: number): ResourceInfo {
  const { state, tag, lastModified } = record
  return { size, etag: `"${tag}"`, lastModified: notInFuture(lastModified), ...state }
}

/**
 * Describes a finished file that this package has not written, or whose record does not match it.
 * The entity tag is derived from the metadata, because no record has a tag for it.
 */
export function foreignInfo(found: BigIntStats): ResourceInfo {
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
    // A strong validator must not be shared by two representations (RFC 9110 §8.8.1). On a file
    // system that counts whole seconds, the next file at the path may have the same metadata.
    etag: `"${mayComeBack(found) ? newTag() : id}"`,
    lastModified: notInFuture(Number(mtimeMs)),
  }
}

/**
 * Returns a date that is not later than now, as RFC 9110 §8.8.2.1 requires of Last-Modified. The
 * clock may have been set back since the file was written.
 */
function notInFuture(milliseconds: number): Date {
  return new Date(Math.min(milliseconds, Date.now()))
}
