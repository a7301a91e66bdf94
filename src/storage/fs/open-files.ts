/**
 * Uploads between two segments. Their data file stays open for a while, so that the next segment
 * costs two looks and a write, and no opening, reading and closing.
 */

import { fstatSync, readFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { trustedSize } from './durable-size.ts'
import { hasTicket } from './fence.ts'
import { stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import type { FsRecord } from './record.ts'
import { incompleteInfo } from './version.ts'
import type { Incomplete } from './version.ts'

/** Files that may wait for their next segment at a time. */
const MAX_WAITING = 64
/** How long each may wait, in milliseconds. */
const MAX_WAIT = 5000

/** What is known of an upload that waits. */
export interface Upload {
  /** Its record as it is on the disk. */
  readonly record: FsRecord
  /** The text of that record. */
  readonly revision: string
  /** Its data file. */
  readonly file: FileHandle
}

/** An upload that goes on. */
export interface TakenFile extends Upload {
  /** Its current version. */
  readonly found: Incomplete
}

interface Waiting extends Upload {
  readonly timer: NodeJS.Timeout
}

/** The waiting uploads of one store, by the hash of their key. */
export class OpenFileCache {
  readonly #waiting = new Map<string, Waiting>()

  /** Takes over the file of an upload; closes the one that has waited longest if there are too many. */
  async store(hash: string, upload: Upload): Promise<void> {
    await this.drop(hash)
    const timer = setTimeout(() => void this.drop(hash).catch(() => {}), MAX_WAIT).unref()
    this.#waiting.set(hash, { ...upload, timer })
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) await this.drop(oldest)
  }

  /**
   * Hands out an upload with its current version; null unless it is as it was left, or longer.
   *
   * The text of the record is compared, because its times may stay the same: some file systems count
   * whole seconds. The looks are synchronous: for a file that is open, and for one that was read seconds
   * ago, the system answers from memory, in a tenth of the time that a thread of the pool takes to wake
   * up.
   */
  async take(paths: ResourcePaths): Promise<TakenFile | null> {
    const upload = this.#remove(paths.hash)
    if (upload === undefined) return null
    const { record, revision, file } = upload
    const isContested = hasTicket(paths, record)
    const data = fstatSync(file.fd)
    const isTrusted = (await trustedSize(paths, record, data)) === Infinity
    const isGone = data.nlink === 0
    if (isContested || !isTrusted || isGone || readNow(paths.record) !== revision) {
      await file.close()
      return null
    }
    const info = incompleteInfo(record, fstatSync(file.fd))
    const path = stagedPath(paths, record.data)
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
    return { ...upload, found }
  }

  /** Closes the file of an upload, if it waits. */
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

/** The text of a record; null if there is none. */
function readNow(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null // It is looked for again in the usual way, which reports an error.
  }
}
