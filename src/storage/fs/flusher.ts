/**
 * Fsyncs data files, and remembers those of which an fsync has failed. Uploads are also flushed in
 * the background, for two reasons. A large upload is flushed while it arrives, because otherwise
 * its last request would wait until the disk has written all of its bytes. A paused upload is
 * flushed after some seconds, so that a power cut loses only the last seconds of an upload.
 */

import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { READ_WRITE, openIfThere, sync } from './io.ts'
import { stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import { formatRecord, loadRecord } from './record.ts'
import { isSuspect, markSuspect, durableSize, writeWatermark } from './durable-size.ts'
import { cacheOf, isSameCache } from './page-cache.ts'

/** Milliseconds for which bytes wait for a flush in the background. */
const DELAY = 10_000
/** Number of bytes that one file receives between two flushes while its upload continues. */
const LARGE = 32 * 1024 * 1024

/** A data file that waits for a flush. */
interface Due {
  readonly paths: ResourcePaths
  /** When the first of its bytes that are not flushed was written, by `performance.now()`. */
  readonly since: number
}

/** Flushes data files, which it knows by their names in the staging directory. */
export class Flusher {
  readonly #due = new Map<string, Due>()
  #isWaiting = false
  /** Resolves when the current round of background flushes has ended. */
  #run: Promise<void> = Promise.resolve()
  /** Bytes written to each file since `wrote` last started a flush of it. */
  readonly #written = new WeakMap<FileHandle, number>()
  /**
   * The file that is flushed while its upload continues. It is one at a time: an fsync may occupy a
   * thread of the pool for seconds, and libuv has only four threads by default.
   */
  #current: { readonly name: string; readonly end: Promise<void> } | null = null
  /** The first failed fsync of each file whose bytes may be lost. */
  readonly #failedSyncs = new Map<string, unknown>()

  /**
   * Schedules a flush of a data file to which bytes were written. Does nothing if a flush is
   * scheduled.
   */
  touch(paths: ResourcePaths, name: string): void {
    if (this.#due.has(name)) return
    this.#due.set(name, { paths, since: performance.now() })
    if (!this.#isWaiting) this.#wait(DELAY)
  }

  /**
   * Counts bytes that were written to a file, and starts a flush after every 32 MiB. The caller
   * does not wait for the flush; `sync` does, and reports its failure.
   */
  wrote(name: string, file: FileHandle, size: number): void {
    const written = (this.#written.get(file) ?? 0) + size
    const isDue = written >= LARGE && this.#current === null
    this.#written.set(file, isDue ? 0 : written)
    if (!isDue) return
    const end = this.#watch(name, file, file.datasync()).finally(() => (this.#current = null))
    this.#current = { name, end }
  }

  /**
   * Fsyncs a data file, with its times (`all`) or without (`data`). After a failed fsync the system
   * drops the pages that it could not write, and the next fsync succeeds although they are lost.
   * The file therefore stays rejected until `forget` is called, after its bytes were written again
   * or cut off.
   *
   * @throws Error of the first fsync of the file that has failed.
   */
  async sync(name: string, file: FileHandle, what: 'all' | 'data'): Promise<void> {
    if (this.#current?.name === name) await this.#current.end
    await this.#watch(name, file, what === 'all' ? file.sync() : file.datasync())
    // The system may report a failure only to the process whose fsync has met it first. The fsync
    // of this process then succeeds although bytes are lost, but the other process has marked the
    // file.
    if (isSuspect(fstatSync(file.fd)))
      this.#noteFailedSync(name, new Error('an earlier fsync of the file has failed'))
    this.assertSynced(name)
  }

  /**
   * Throws if an fsync of the data file has failed.
   *
   * @throws Error of the first fsync that has failed.
   */
  assertSynced(name: string): void {
    if (this.#failedSyncs.has(name)) throw this.#failedSyncs.get(name)
  }

  /** Returns whether an fsync of the data file has failed, so that bytes may be lost. */
  hasFailedSync(name: string): boolean {
    return this.#failedSyncs.has(name)
  }

  /** Forgets a data file that has durable bytes only, or that was removed. */
  forget(name: string): void {
    this.#due.delete(name)
    this.#failedSyncs.delete(name)
  }

  /**
   * Flushes all scheduled files now, before the process ends. Best effort: after a failed flush the
   * watermark stays as it is, and claims no more than is durable.
   */
  async flushAll(): Promise<void> {
    for (const [data, { paths }] of this.#due) {
      this.#due.delete(data)
      await this.#flush(paths, data).catch(() => {})
    }
    await this.#run
  }

  /** Waits for an fsync. A failure is remembered here and marked in the file, and not thrown. */
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

  /** Starts the next round after `delay` milliseconds, without keeping the process alive. */
  #wait(delay: number): void {
    this.#isWaiting = true
    const run = (): void => {
      this.#run = this.#flushDue()
    }
    setTimeout(run, delay).unref()
  }

  /**
   * Flushes the files that have waited for long enough, one after the other, so that flushes occupy
   * only one thread of the pool.
   */
  async #flushDue(): Promise<void> {
    for (const [data, { paths, since }] of this.#due) {
      if (performance.now() - since < DELAY) break
      this.#due.delete(data)
      // After a failure the watermark stays as it is, and the next write schedules another flush.
      await this.#flush(paths, data).catch(() => {})
    }
    const [oldest] = this.#due.values()
    this.#isWaiting = false
    if (oldest !== undefined) this.#wait(Math.max(0, oldest.since + DELAY - performance.now()))
  }

  /**
   * Flushes one data file and advances its watermark. No lock is held, so that a writer may change
   * the upload at the same time.
   */
  async #flush(paths: ResourcePaths, data: string): Promise<void> {
    const before = await loadRecord(paths)
    if (before?.data !== data || before.state.complete) return
    // Bytes of a lost page cache may read as zeros now. To flush them would make the zeros count as
    // durable bytes of the client.
    if (!isSameCache(before.pageCache, cacheOf(paths))) return
    const file = await openIfThere(stagedPath(paths, data), READ_WRITE)
    if (file === null) return
    try {
      const { size } = await file.stat()
      if (size <= (await durableSize(paths, before))) return
      await this.sync(data, file, 'data')
      await sync(paths.record)
      const after = await loadRecord(paths)
      // A writer may have truncated or replaced the upload since. The watermark of one version must
      // not be written for another.
      if (after === null || formatRecord(after) !== formatRecord(before)) return
      await writeWatermark(paths, before, Math.min(size, before.committedSize ?? size))
    } finally {
      await file.close()
    }
  }
}
