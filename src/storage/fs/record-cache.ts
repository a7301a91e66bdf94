/**
 * The records that were read lately, so that most requests read none: a record that is still the same file
 * has the same text.
 *
 * A record is changed by a rename alone, in whichever process. The new record is another file, so that its
 * inode number or the time of its change differs (the rename sets it), with one exception: the number is
 * used again at once, and within one step of the clock that stamps files. Such a record is not kept:
 *
 *     10.001 s  record 1 is at the path, and is read here
 *     10.002 s  record 2 is renamed onto it, so that the system frees number 1
 *     10.003 s  record 3 gets number 1 and is renamed onto the path, with the time 10.00 of record 1
 */

import type { BigIntStats } from 'node:fs'
import { SECOND } from './file-times.ts'
import { exactLstatIfThere, isQuick } from './metadata.ts'
import type { ResourcePaths } from './paths.ts'
import { parseRecord, readRecord } from './record.ts'
import type { FsRecord } from './record.ts'

/** A record as it is on the disk. */
export interface StoredRecord {
  /** Its text, which no other version of the resource has. */
  readonly text: string
  /** Null where a power cut has left something else. */
  readonly record: FsRecord | null
}

/** What differs between a record and the next one at its path. */
type Fingerprint = Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>

interface Cached {
  readonly stored: StoredRecord
  readonly file: Fingerprint
}

/** Records that are kept, of about 2 KiB each. */
const MAX_CACHED = 1000

/** The longest step of a clock, in nanoseconds: that of the system, and that of FAT. */
const SHORT_STEP = 50_000_000n
const LONG_STEP = 3n * SECOND

/** In the order of their last use, the longest ago first. */
const CACHE = new Map<string, Cached>()

/** Reads the current record; null if there is none. */
export async function currentRecord(paths: ResourcePaths): Promise<StoredRecord | null> {
  const path = paths.record
  if (!isQuick(paths)) return read(paths)
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
  // The text is that of the file only if the same file was there before and after it was read.
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

/** Whether the next record at the path can't get the time of this one. */
function isOld({ ctimeNs }: Fingerprint): boolean {
  const step = ctimeNs % SECOND === 0n ? LONG_STEP : SHORT_STEP
  return BigInt(Date.now()) * 1_000_000n > ctimeNs + step
}
