/**
 * Makes data files durable, and remembers files of which an fsync has failed. Uploads are flushed in the
 * background for two reasons. A large upload is flushed while it arrives, so that its last request does not
 * wait for all of its bytes. A paused upload is flushed after some seconds, so that a power cut loses only
 * the last seconds of an upload.
 */

import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { READ_WRITE, openIfThere, sync } from './io.ts'
import { stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import { formatRecord, loadRecord } from './record.ts'
import { isSuspect, markSuspect, durableSize, writeWatermark } from './durable-size.ts'
import { cacheOf, isSameCache } from './page-cache.ts'

/** How long bytes wait for a flush, in milliseconds. */
const DELAY = 10_000
/** Bytes of one file after which a flush in the middle of the upload pays. */
const LARGE = 32 * 1024 * 1024

interface Due {
  readonly paths: ResourcePaths
  readonly since: number
}

/** Flushes data files, which are identified by their names in the staging directory. */
export class Flusher {
  readonly #due = new Map<string, Due>()
  #isWaiting = false
  /** Resolves when the current round of background flushes has ended. */
  #run: Promise<void> = Promise.resolve()
  /** Bytes that were written to a file since its last flush. */
  readonly #written = new WeakMap<FileHandle, number>()
  /** The file that is flushed while its upload continues: one at a time, to leave threads for requests. */
  #current: { readonly name: string; readonly end: Promise<void> } | null = null
  /** The error of the first failed fsync of each file whose bytes may be lost. */
  readonly #failedSyncs = new Map<string, unknown>()

  /** Schedules a flush of a data file to which bytes were written. */
  touch(paths: ResourcePaths, name: string): void {
    if (this.#due.has(name)) return
    this.#due.set(name, { paths, since: performance.now() })
    if (!this.#isWaiting) this.#wait(DELAY)
  }

  /** Counts bytes that were written to a file, and starts a flush if they are many. */
  wrote(name: string, file: FileHandle, size: number): void {
    const written = (this.#written.get(file) ?? 0) + size
    const isTurn = written >= LARGE && this.#current === null
    this.#written.set(file, isTurn ? 0 : written)
    if (!isTurn) return
    const end = this.#watch(name, file, file.datasync()).finally(() => (this.#current = null))
    this.#current = { name, end }
  }

  /**
   * Makes data durable, with its times (`all`) or without. After a failed fsync the system drops the pages
   * that it could not write, and the next fsync succeeds. The data file therefore stays rejected until
   * `forget` is called, after its bytes were written again or cut off.
   *
   * @throws Error of the first fsync that has failed.
   */
  async sync(name: string, file: FileHandle, what: 'all' | 'data'): Promise<void> {
    if (this.#current?.name === name) await this.#current.end
    await this.#watch(name, file, what === 'all' ? file.sync() : file.datasync())
    // The system may have reported the failure to another process, and success to this one.
    if (isSuspect(fstatSync(file.fd)))
      this.#noteFailedSync(name, new Error('an fsync has failed before'))
    this.assertSynced(name)
  }

  /** @throws Error of the first fsync of the data file that has failed. */
  assertSynced(name: string): void {
    if (this.#failedSyncs.has(name)) throw this.#failedSyncs.get(name)
  }

  /** Returns whether bytes of the data file may be lost. */
  hasFailedSync(name: string): boolean {
    return this.#failedSyncs.has(name)
  }

  /** Forgets a data file that has only durable bytes, or that was removed. */
  forget(name: string): void {
    this.#due.delete(name)
    this.#failedSyncs.delete(name)
  }

  /** Flushes all scheduled files now. Best effort, because a failed flush leaves the watermark as it is. */
  async flushAll(): Promise<void> {
    for (const [data, { paths }] of this.#due) {
      this.#due.delete(data)
      await this.#flush(paths, data).catch(() => {})
    }
    await this.#run
  }

  async #watch(name: string, file: FileHandle, flush: Promise<void>): Promise<void> {
    try {
      await flush
    } catch (error) {
      this.#noteFailedSync(name, error)
      await markSuspect(file)
    }
  }

  #noteFailedSync(name: string, error: unknown): void {
    if (!this.#failedSyncs.has(name)) this.#failedSyncs.set(name, error)
  }

  #wait(delay: number): void {
    this.#isWaiting = true
    const run = (): void => {
      this.#run = this.#flushDue()
    }
    setTimeout(run, delay).unref()
  }

  /** Flushes one file after the other, so that flushes occupy one thread of the pool only. */
  async #flushDue(): Promise<void> {
    for (const [data, { paths, since }] of this.#due) {
      if (performance.now() - since < DELAY) break
      this.#due.delete(data)
      await this.#flush(paths, data).catch(() => {}) // The watermark stays as it is, and the next write schedules another flush.
    }
    const [oldest] = this.#due.values()
    this.#isWaiting = false
    if (oldest !== undefined) this.#wait(Math.max(0, oldest.since + DELAY - performance.now()))
  }

  async #flush(paths: ResourcePaths, data: string): Promise<void> {
    const before = await loadRecord(paths)
    if (before?.data !== data || before.state.complete) return
    // Bytes that were in a lost page cache may read as zeros: flushing them would make the zeros durable.
    if (!isSameCache(before.pageCache, cacheOf(paths))) return
    const file = await openIfThere(stagedPath(paths, data), READ_WRITE)
    if (file === null) return
    try {
      const { size } = await file.stat()
      if (size <= (await durableSize(paths, before))) return
      await this.sync(data, file, 'data')
      await sync(paths.record)
      const after = await loadRecord(paths)
      // The watermark of a version must not be written for another version.
      if (after === null || formatRecord(after) !== formatRecord(before)) return
      await writeWatermark(paths, before, Math.min(size, before.committedSize ?? size))
    } finally {
      await file.close()
    }
  }
}
