/**
 * Keeps the records that were read lately, so that most requests do not open a record: a stat shows
 * whether the file is still the one that was parsed.
 *
 * A record is only ever replaced by a rename, in whichever process. The new record is another file,
 * so that its inode number differs, or the time of its last change (ctime), which the rename sets.
 * Both are the same in one case: the system gives the freed inode number to the next file at once,
 * within the same step of the clock that stamps files. A record that is this young is therefore not
 * kept:
 *
 *     10.001 s  record 1 is at the path, and is read here
 *     10.002 s  record 2 is renamed onto it, so that the system frees inode number 1
 *     10.003 s  record 3 gets inode number 1 and is renamed onto the path; a clock with steps of
 *               10 ms stamps it with 10.00 s, the time of record 1
 */

import type { BigIntStats } from 'node:fs'
import { SECOND } from './file-times.ts'
import { exactLstatIfThere } from './metadata.ts'
import type { ResourcePaths } from './paths.ts'
import { parseRecord, readRecord } from './record.ts'
import type { FsRecord } from './record.ts'
import { METADATA_CALLS } from './synchronous-calls.ts'

/** A record as it was read from the disk. */
export interface StoredRecord {
  /** The text of the file, which differs for each version of the resource. */
  readonly text: string
  /** The parsed record; null if the text is not a record. */
  readonly record: FsRecord | null
}

/** The metadata in which a record differs from the next record at its path. */
type Fingerprint = Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>

interface Cached {
  readonly stored: StoredRecord
  readonly file: Fingerprint
}

/**
 * Number of records that are kept, of about 2 KiB each. Beyond it the one used longest ago is
 * dropped.
 */
const MAX_CACHED = 1000

/**
 * Longest steps of the clock that stamps files, in nanoseconds: of the Linux kernel, which counts
 * in ticks of up to 10 ms, and of FAT, which counts in steps of two seconds.
 */
const SHORT_STEP = 50_000_000n
const LONG_STEP = 3n * SECOND

/**
 * The records by their paths, in the order of their last use. The first one was used longest ago.
 */
const CACHE = new Map<string, Cached>()

/**
 * Reads the current record of a resource; null if it has none. On a file system on which metadata
 * may be slow or out of date, such as NFS, each call reads the file.
 */
export async function currentRecord(paths: ResourcePaths): Promise<StoredRecord | null> {
  const path = paths.record
  if (!METADATA_CALLS.areQuick(paths)) return read(paths)
  const found = await exactLstatIfThere(paths, path)
  const cached = CACHE.get(path)
  CACHE.delete(path)
  if (found === null) return null
  if (cached !== undefined && isSameFile(cached.file, found)) {
    CACHE.set(path, cached)
    return cached.stored
  }
  const stored = await read(paths)
  const later = await exactLstatIfThere(paths, path)
  // Another process may replace the record between a stat and the read. The text belongs to the
  // file only if the stats before and after the read agree.
  const isKnown = stored !== null && later !== null && isSameFile(found, later)
  if (isKnown && isOld(later)) keep(path, stored, later)
  return stored
}

async function read(paths: ResourcePaths): Promise<StoredRecord | null> {
  const text = await readRecord(paths)
  return text === null ? null : { text, record: parseRecord(text) }
}

function keep(path: string, stored: StoredRecord, found: Fingerprint): void {
  const { ino, size, mtimeNs, ctimeNs } = found
  CACHE.set(path, { stored, file: { ino, size, mtimeNs, ctimeNs } })
  const [oldest] = CACHE.keys()
  if (CACHE.size > MAX_CACHED && oldest !== undefined) CACHE.delete(oldest)
}

function isSameFile(a: Fingerprint, b: Fingerprint): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}

/** Returns whether the file is so old that the next record at the path gets another time. */
function isOld({ ctimeNs }: Fingerprint): boolean {
  const step = ctimeNs % SECOND === 0n ? LONG_STEP : SHORT_STEP
  return BigInt(Date.now()) * 1_000_000n > ctimeNs + step
}
