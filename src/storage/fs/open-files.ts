/**
 * Keeps the data files of uploads open between two segments. With an open file the next segment
 * costs a few synchronous calls and one write, because neither the record nor the data file has to
 * be opened and closed.
 */

import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { isSuspect } from './durable-size.ts'
import { hasTicket } from './fence.ts'
import { lstatIfThere, statOf } from './metadata.ts'
import { stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import type { FsRecord } from './record.ts'
import { currentRecord } from './record-cache.ts'
import { incompleteInfo } from './version-info.ts'
import type { Incomplete } from './version.ts'

/** Number of data files that stay open at a time. */
const MAX_WAITING = 64
/** Milliseconds for which each stays open. */
const MAX_WAIT = 5000

/** An upload whose data file is open. */
export interface Upload {
  /** Its record, as it was on the disk after the last segment. */
  readonly record: FsRecord
  /** The text of that record. */
  readonly revision: string
  /** Handle of its data file, open for reading and writing. */
  readonly file: FileHandle
}

/** An upload that continues with its next segment. */
export interface TakenFile extends Upload {
  /** Its current version, which the segment continues. */
  readonly found: Incomplete
}

interface Waiting extends Upload {
  readonly timer: NodeJS.Timeout
}

/**
 * The open data files of one store, by the hash of the key, in the order in which they were stored.
 */
export class OpenFileCache {
  readonly #waiting = new Map<string, Waiting>()

  /**
   * Takes over an open data file. If there are too many, the file that was stored first is closed.
   */
  async store(hash: string, { record, revision, file }: Upload): Promise<void> {
    await this.drop(hash)
    const timer = setTimeout(() => void this.drop(hash).catch(() => {}), MAX_WAIT).unref()
    this.#waiting.set(hash, { record, revision, file, timer })
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) await this.drop(oldest)
  }

  /**
   * Returns an upload with its current version, and hands its open file to the caller. Returns null
   * unless the record is unchanged, so that another process can only have made the data file
   * longer.
   *
   * All bytes of the file count, because none of them were lost with a page cache: the page cache
   * was the current one when the file was opened (`durable-size.ts`), and an open file keeps its
   * file system, with its page cache and its device number, even if that is detached from the
   * directory. Another file system at the path has another device number.
   */
  async take(paths: ResourcePaths): Promise<TakenFile | null> {
    const upload = this.#remove(paths.hash)
    if (upload === undefined) return null
    const { record, revision, file } = upload
    const isContested = await hasTicket(paths, record)
    const stored = await currentRecord(paths)
    const path = stagedPath(paths, record.data)
    const data = await statOf(paths, file)
    const isAtPath = isSameFile(data, await lstatIfThere(paths, path))
    if (isContested || stored?.text !== revision || !isAtPath || isSuspect(data)) {
      await file.close()
      return null
    }
    const info = incompleteInfo(record, data)
    const limit = Number.POSITIVE_INFINITY
    const found = {
      kind: 'incomplete',
      record,
      stored: record,
      path,
      limit,
      info,
      revision,
    } as const
    return { found, record, revision, file }
  }

  /** Closes the data file of an upload, if it is open here. */
  async drop(hash: string): Promise<void> {
    await this.#remove(hash)?.file.close()
  }

  #remove(hash: string): Waiting | undefined {
    const upload = this.#waiting.get(hash)
    clearTimeout(upload?.timer)
    this.#waiting.delete(hash)
    return upload
  }
}

/**
 * Returns whether the metadata of an open file are those of the file at its path, if there is one.
 */
function isSameFile({ dev, ino }: Stats, atPath: Stats | null): boolean {
  return atPath !== null && atPath.dev === dev && atPath.ino === ino
}
