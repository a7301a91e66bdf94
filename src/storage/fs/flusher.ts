/**
 * When data is made durable, and which is not to be trusted. Uploads are flushed in the background: a
 * large write goes to the disk while more of it arrives, so that its end does not wait for all of it;
 * and what has waited for a while is flushed, so that a power cut takes the last seconds of an upload,
 * and a restart of the system nothing that is older.
 */

import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { READ_WRITE, openIfThere, sync } from './io.ts'
import { stagedPath } from './paths.ts'
import type { ResourcePaths } from './paths.ts'
import { formatRecord, loadRecord } from './record.ts'
import { isSuspect, markSuspect, durableSize, writeWatermark } from './durable-size.ts'
import { cacheOf, isSameCache } from './page-cache.ts'

/** How long bytes may wait, in milliseconds, before it is their file's turn. */
const DELAY = 10_000
/** Bytes of one file that are worth a flush in the middle of its upload. */
const LARGE = 32 * 1024 * 1024

interface Due {
  readonly paths: ResourcePaths
  readonly since: number
}

/** Makes data files durable, in the background and at the end of a write. Knows them by their names. */
export class Flusher {
  readonly #due = new Map<string, Due>()
  #isWaiting = false
  /** The flushes under way. */
  #run: Promise<void> = Promise.resolve()
  /** Bytes that were written since the last flush. */
  readonly #written = new WeakMap<FileHandle, number>()
  /** The file that is being flushed while it is written. */
  #current: { readonly name: string; readonly end: Promise<void> } | null = null
  /** Files of which a failed flush may have lost something, and its error. */
  readonly #failedSyncs = new Map<string, unknown>()

  /** Tells that bytes have come. */
  touch(paths: ResourcePaths, name: string): void {
    if (this.#due.has(name)) return
    this.#due.set(name, { paths, since: performance.now() })
    if (!this.#isWaiting) this.#wait(DELAY)
  }

  /** Tells that so many bytes were written to a file. One at a time is flushed for it. */
  wrote(name: string, file: FileHandle, size: number): void {
    const written = (this.#written.get(file) ?? 0) + size
    const isTurn = written >= LARGE && this.#current === null
    this.#written.set(file, isTurn ? 0 : written)
    if (!isTurn) return
    const end = this.#watch(name, file, file.datasync()).finally(() => (this.#current = null))
    this.#current = { name, end }
  }

  /**
   * Makes data durable, with its times or without. Once an fsync has failed, the system forgets what
   * it could not write, and the next one succeeds: the data must not count until it was written again.
   */
  async sync(name: string, file: FileHandle, what: 'all' | 'data'): Promise<void> {
    if (this.#current?.name === name) await this.#current.end
    await this.#watch(name, file, what === 'all' ? file.sync() : file.datasync())
    // The system reports a failure to one process, and success to the next one.
    if (isSuspect(fstatSync(file.fd)))
      this.#noteFailedSync(name, new Error('an fsync has failed before'))
    if (this.#failedSyncs.has(name)) throw this.#failedSyncs.get(name)
  }

  /** Whether something of the data may be lost. */
  hasFailedSync(name: string): boolean {
    return this.#failedSyncs.has(name)
  }

  /** Tells that all data that counts is on the disk, or gone. */
  forget(name: string): void {
    this.#due.delete(name)
    this.#failedSyncs.delete(name)
  }

  /** Flushes, now, all that has waited. Best effort: what fails is as it was before. */
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

  /** One after the other, so that no more than one thread of the pool is at it. */
  async #flushDue(): Promise<void> {
    for (const [data, { paths, since }] of this.#due) {
      if (performance.now() - since < DELAY) break
      this.#due.delete(data)
      await this.#flush(paths, data).catch(() => {}) // It is as before: the next bytes try again.
    }
    const [oldest] = this.#due.values()
    this.#isWaiting = false
    if (oldest !== undefined) this.#wait(Math.max(0, oldest.since + DELAY - performance.now()))
  }

  async #flush(paths: ResourcePaths, data: string): Promise<void> {
    const before = await loadRecord(paths)
    if (before?.data !== data || before.state.complete) return
    // Of another page cache only the length may be left, and no flush can make such bytes durable.
    if (!isSameCache(before.pageCache, cacheOf(paths))) return
    const file = await openIfThere(stagedPath(paths, data), READ_WRITE)
    if (file === null) return
    try {
      const { size } = await file.stat()
      if (size <= (await durableSize(paths, before))) return
      await this.sync(data, file, 'data')
      await sync(paths.record)
      const after = await loadRecord(paths)
      // A record that has changed meanwhile may be of other bytes.
      if (after === null || formatRecord(after) !== formatRecord(before)) return
      await writeWatermark(paths, before, Math.min(size, before.committedSize ?? size))
    } finally {
      await file.close()
    }
  }
}
