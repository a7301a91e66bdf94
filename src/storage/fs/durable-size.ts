/**
 * How many bytes of an upload are durable: the watermark. It is in the record, and later in the mark, a
 * small file beside the data, so that a flush does not have to replace the record. It counts after the
 * page cache was lost or an fsync has failed; before that, the length of the data file counts.
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

/** Within a sector, which a disk writes whole or not at all. */
const WATERMARK_SIZE = 64
const WATERMARK = /^(?<tag>[\w-]{22}) (?<size>\d+) *\n$/

type Watermarked = Pick<FsRecord, 'data' | 'tag'>

/**
 * The bit of a data file's mode (the sticky bit, which has no meaning for files) that says that an
 * fsync has failed, so that bytes which were not durable before may be lost. The system reports such a
 * failure once; every later fsync succeeds, in other processes too. To set the bit takes no room on a
 * full disk, and each look at the file's size shows it.
 */
const SUSPECT = 0o1000

/** Checks whether an fsync of the data file has failed, in whichever process. */
export function isSuspect({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & SUSPECT) !== 0
}

/** Notes that an fsync of the data file has failed. Best effort: the disk may refuse this as well. */
export async function markSuspect(file: FileHandle): Promise<void> {
  await file
    .stat()
    .then(({ mode }) => file.chmod(mode | SUSPECT))
    .catch(() => {})
}

/** Notes that the data file has no bytes that may be lost. */
export async function clearSuspect(file: FileHandle): Promise<void> {
  const { mode } = await file.stat()
  if ((mode & SUSPECT) !== 0) await file.chmod(mode & 0o7777 & ~SUSPECT)
}

/**
 * Bytes of the data file that count at most. The length of the file counts, however large, while the
 * page cache lives that it was written into, and no fsync has failed; otherwise only durable bytes do.
 */
export async function trustedSize(
  folders: Folders,
  record: FsRecord,
  file: Pick<Stats, 'mode'>,
): Promise<number> {
  // Without fsyncs nothing is promised, and the length is as good as anything.
  const isCached = record.pageCache === '' || isSameCache(record.pageCache, cacheOf(folders))
  return isCached && !isSuspect(file) ? Infinity : durableSize(folders, record)
}

/** Bytes of the data that are known to be on the disk. */
export async function durableSize(folders: Folders, record: FsRecord): Promise<number> {
  const mark = (await readWhole(watermarkPath(folders, record), 2 * WATERMARK_SIZE))?.toString(
    'latin1',
  )
  const { tag, size } = WATERMARK.exec(mark ?? '')?.groups ?? {}
  return tag === record.tag ? Math.max(Number(size), record.durableSize) : record.durableSize
}

/** Notes, durably, that the first `size` bytes of the data are on the disk. */
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

/** The path of the mark of a data file. */
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
