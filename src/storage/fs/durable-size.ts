/**
 * The watermark: the number of bytes of an upload that were fsynced. The record contains it as of
 * the last change of the record. A small file beside the data file contains it as of the last
 * flush, so that a flush does not have to replace the record.
 *
 * Usually the length of the data file counts, which includes bytes that are only in the page cache:
 * a crash of the process does not lose them. The watermark counts instead after the page cache was
 * lost, by a power cut or an unmount, and after an fsync has failed.
 */

import { constants } from 'node:fs'
import type { Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { errorCode, readWhole, sync } from './io.ts'
import { cacheOf, isSameCache } from './page-cache.ts'
import { stagedPath } from './paths.ts'
import type { Folders } from './paths.ts'
import type { FsRecord } from './record.ts'

/**
 * Length of the file in bytes. It is smaller than a sector, which a disk writes as a whole or not
 * at all, so that the watermark can be overwritten in place.
 */
const WATERMARK_SIZE = 64
const WATERMARK = /^(?<tag>[\w-]{22}) (?<size>\d+) *\n$/

/**
 * The upload whose watermark is written. The tag of its record is stored with the number, because
 * after a truncation the number would be too large for the next version.
 */
type Watermarked = Pick<FsRecord, 'data' | 'tag'>

/**
 * The sticky bit, which has no meaning for files, marks that an fsync of a data file has failed:
 * bytes that were not durable before may be lost. The mark must be on the disk, because the system
 * may report the failure only once: later fsyncs succeed, in other processes too. A mode bit needs
 * no room on a full disk, and each stat returns it.
 */
const SUSPECT = 0o1000

/** Returns whether an fsync of the data file has failed, in any process. */
export function isSuspect({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & SUSPECT) !== 0
}

/**
 * Marks that an fsync of the data file has failed. Best effort, because the disk may refuse this
 * change too.
 */
export async function markSuspect(file: FileHandle): Promise<void> {
  await file
    .stat()
    .then(({ mode }) => file.chmod(mode | SUSPECT))
    .catch(() => {})
}

/** Clears the mark, once the data file has durable bytes only. */
export async function clearSuspect(file: FileHandle): Promise<void> {
  const { mode } = await file.stat()
  if ((mode & SUSPECT) !== 0) await file.chmod(mode & 0o7777 & ~SUSPECT)
}

/**
 * Returns the largest number of bytes of the data file that count. It is infinite while the page
 * cache exists into which they were written and no fsync has failed. Otherwise it is the watermark.
 */
export async function trustedSize(
  folders: Folders,
  record: FsRecord,
  file: Pick<Stats, 'mode'>,
): Promise<number> {
  // With `fsync: 'never'` the record names no page cache, and no watermark is written. The storage
  // promises nothing after a power cut, so that the length of the file counts.
  const isCached = record.pageCache === '' || isSameCache(record.pageCache, cacheOf(folders))
  return isCached && !isSuspect(file) ? Infinity : durableSize(folders, record)
}

/**
 * Returns the watermark in bytes: that of the record or that of the last flush, whichever is
 * larger.
 */
export async function durableSize(folders: Folders, record: FsRecord): Promise<number> {
  const mark = (await readWhole(watermarkPath(folders, record), 2 * WATERMARK_SIZE))?.toString(
    'latin1',
  )
  const { tag, size } = WATERMARK.exec(mark ?? '')?.groups ?? {}
  return tag === record.tag ? Math.max(Number(size), record.durableSize) : record.durableSize
}

/**
 * Notes that the first `size` bytes of the data file are durable. The note itself is durable when
 * the call resolves.
 */
export async function writeWatermark(
  folders: Folders,
  watermarked: Watermarked,
  size: number,
): Promise<void> {
  const path = watermarkPath(folders, watermarked)
  const text = `${watermarked.tag} ${size}`.padEnd(WATERMARK_SIZE - 1) + '\n'
  const { file, isNew } = await openWatermark(path)
  try {
    await file.write(text, 0, 'latin1')
    await file.datasync()
  } finally {
    await file.close()
  }
  if (isNew) await sync(folders.staging)
}

/** Returns the path of the watermark of a data file. */
export function watermarkPath(folders: Folders, { data }: Pick<FsRecord, 'data'>): string {
  return stagedPath(folders, data.replace(/data$/, 'safe'))
}

/**
 * Opens the watermark for an overwrite in place, or creates it. Only a new file needs an fsync of
 * its directory.
 */
async function openWatermark(path: string): Promise<{ file: FileHandle; isNew: boolean }> {
  try {
    const { O_WRONLY, O_NOFOLLOW } = constants
    return { file: await open(path, O_WRONLY | O_NOFOLLOW), isNew: false }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { file: await open(path, 'wx'), isNew: true }
  }
}
