/**
 * How much of an upload a power cut has left. While the system runs, the length of the data file tells
 * how far an upload has come. After a power cut it may count bytes that had not reached the disk and
 * read as zeros (ext4 does that within a block), so that then only those count that were flushed: by
 * the record, or later by the mark, a small file beside the data.
 */

import { constants, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { errorCode, readWhole, sync } from './io.ts'
import { hiddenPath } from './paths.ts'
import type { Folders } from './paths.ts'
import type { FsRecord } from './record.ts'

/** Names the run of the system, from one start to the next; empty where only its length can tell. */
export const BOOT = readBoot()

/** Within a sector, which a disk writes whole or not at all. */
const MARK_SIZE = 64
const MARK = /^(?<tag>[\w-]{22}) (?<size>\d+) *\n$/

type Marked = Pick<FsRecord, 'data' | 'tag'>

/** Tells whether the system has not been started anew since the record was written. */
export function isOfThisBoot({ boot }: Pick<FsRecord, 'boot'>): boolean {
  // Without fsyncs nothing is promised, and the length is as good as anything.
  return boot === '' || boot === BOOT
}

/** Bytes of the data that are known to be on the disk. */
export async function safeSize(folders: Folders, record: FsRecord): Promise<number> {
  const mark = (await readWhole(markPath(folders, record), 2 * MARK_SIZE))?.toString('latin1')
  const { tag, size } = MARK.exec(mark ?? '')?.groups ?? {}
  return tag === record.tag ? Math.max(Number(size), record.safeSize) : record.safeSize
}

/** Notes, durably, that the first `size` bytes of the data are on the disk. */
export async function writeMark(folders: Folders, marked: Marked, size: number): Promise<void> {
  const path = markPath(folders, marked)
  const text = `${marked.tag} ${size}`.padEnd(MARK_SIZE - 1) + '\n'
  const { file, isNew } = await openMark(path)
  try {
    await file.write(text, 0, 'latin1')
    await file.datasync()
  } finally {
    await file.close()
  }
  if (isNew) await sync(folders.hidden)
}

/** The path of the mark of a data file. */
export function markPath(folders: Folders, { data }: Pick<FsRecord, 'data'>): string {
  return hiddenPath(folders, data.replace(/data$/, 'safe'))
}

async function openMark(path: string): Promise<{ file: FileHandle; isNew: boolean }> {
  try {
    const { O_WRONLY, O_NOFOLLOW } = constants
    return { file: await open(path, O_WRONLY | O_NOFOLLOW), isNew: false }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { file: await open(path, 'wx'), isNew: true }
  }
}

function readBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return '' // Only Linux tells.
  }
}
