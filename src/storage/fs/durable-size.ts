/**
 * The watermark: how many bytes of an upload are durable. The record has it as of its last change. A small
 * file beside the data file has it as of the last flush, so that a flush does not have to replace the record.
 *
 * Normally the length of the data file counts, because it includes bytes that are only in the page cache. The
 * watermark counts after the page cache was lost, or after an fsync has failed.
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

/** Smaller than a sector, which a disk writes whole or not at all. */
const WATERMARK_SIZE = 64
const WATERMARK = /^(?<tag>[\w-]{22}) (?<size>\d+) *\n$/

type Watermarked = Pick<FsRecord, 'data' | 'tag'>

/**
 * The sticky bit of a data file, which has no meaning for files, marks that an fsync has failed: bytes that
 * were not durable before may be lost. The mark must be on the disk because the system reports the failure
 * only once, and every later fsync succeeds, in other processes too. A mode bit needs no room on a full
 * disk, and each stat of the size returns it.
 */
const SUSPECT = 0o1000

/** Returns whether an fsync of the data file has failed, in any process. */
export function isSuspect({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & SUSPECT) !== 0
}

/** Marks that an fsync of the data file has failed. Best effort, because the disk may refuse this too. */
export async function markSuspect(file: FileHandle): Promise<void> {
  await file
    .stat()
    .then(({ mode }) => file.chmod(mode | SUSPECT))
    .catch(() => {})
}

/** Clears the mark, once the data file has only durable bytes. */
export async function clearSuspect(file: FileHandle): Promise<void> {
  const { mode } = await file.stat()
  if ((mode & SUSPECT) !== 0) await file.chmod(mode & 0o7777 & ~SUSPECT)
}

/**
 * The upper limit for the bytes of the data file that count: infinite while the page cache exists that they
 * were written into and no fsync has failed, otherwise the watermark.
 */
export async function trustedSize(
  folders: Folders,
  record: FsRecord,
  file: Pick<Stats, 'mode'>,
): Promise<number> {
  // Without fsyncs there is no watermark, and nothing is promised: the length counts.
  const isCached = record.pageCache === '' || isSameCache(record.pageCache, cacheOf(folders))
  return isCached && !isSuspect(file) ? Infinity : durableSize(folders, record)
}

/** The watermark, from the record or from the file of the last flush, whichever is larger. */
export async function durableSize(folders: Folders, record: FsRecord): Promise<number> {
  const mark = (await readWhole(watermarkPath(folders, record), 2 * WATERMARK_SIZE))?.toString(
    'latin1',
  )
  const { tag, size } = WATERMARK.exec(mark ?? '')?.groups ?? {}
  return tag === record.tag ? Math.max(Number(size), record.durableSize) : record.durableSize
}

/** Writes the watermark, durably: the first `size` bytes of the data file are durable. */
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

/** Path of the watermark of a data file. */
export function watermarkPath(folders: Folders, { data }: Pick<FsRecord, 'data'>): string {
  return stagedPath(folders, data.replace(/data$/, 'safe'))
}

async function openWatermark(path: string): Promise<{ file: FileHandle; isNew: boolean }> {
  try {
    const { O_WRONLY, O_NOFOLLOW } = constants
    return { file: await open(path, O_WRONLY | O_NOFOLLOW), isNew: false }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { file: await open(path, 'wx'), isNew: true }
  }
}
