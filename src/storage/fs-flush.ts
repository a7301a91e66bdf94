/**
 * Flushes uploads in the background. A large write goes to the disk while more of it arrives, so that
 * its end does not wait for all of it. And what has waited for a while is flushed, so that a power cut
 * takes the last seconds of an upload, and a restart of the system nothing that is older.
 */

import { stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { READ, ifThere, openIfThere, sync } from './fs-io.ts'
import { hiddenPath } from './fs-place.ts'
import type { Place } from './fs-place.ts'
import { parseRecord, readRecord, stampOf } from './fs-record.ts'
import type { FsRecord } from './fs-record.ts'
import { writeMark } from './fs-safe.ts'

/** How long bytes may wait, in milliseconds, before it is their file's turn. */
const DELAY = 10_000
/** Bytes of one file that are worth a flush in the middle of its upload. */
const LARGE = 32 * 1024 * 1024

interface Due {
  readonly place: Place
  readonly since: number
}

/** Uploads with bytes that a power cut could take, by the name of their data file. */
export class Flusher {
  readonly #spoiled: Map<string, unknown>
  readonly #due = new Map<string, Due>()
  #isWaiting = false
  /** Bytes that were written since the last flush. */
  readonly #written = new WeakMap<FileHandle, number>()
  /** The file that is being flushed while it is written. */
  #current: { readonly name: string; readonly end: Promise<unknown> } | null = null

  /** Adds to `spoiled` the names of data files of which something may be lost. */
  constructor(spoiled: Map<string, unknown>) {
    this.#spoiled = spoiled
  }

  /** Tells that bytes have come. */
  touch(place: Place, data: string): void {
    if (this.#due.has(data)) return
    this.#due.set(data, { place, since: performance.now() })
    if (!this.#isWaiting) this.#wait(DELAY)
  }

  /** Tells that the data is on the disk, or gone. */
  forget(data: string): void {
    this.#due.delete(data)
  }

  /** Tells that so many bytes were written to a data file. One at a time is flushed for it. */
  wrote(name: string, file: FileHandle, size: number): void {
    const written = (this.#written.get(file) ?? 0) + size
    const isTurn = written >= LARGE && this.#current === null
    this.#written.set(file, isTurn ? 0 : written)
    if (!isTurn) return
    const end = file
      .datasync()
      .catch((error: unknown) => this.#spoiled.set(name, error))
      .finally(() => (this.#current = null))
    this.#current = { name, end }
  }

  /** Resolves when no flush of a large write to this file is under way. */
  async ended(name: string): Promise<void> {
    if (this.#current?.name === name) await this.#current.end
  }

  #wait(delay: number): void {
    this.#isWaiting = true
    setTimeout(() => void this.#run(), delay).unref()
  }

  /** One after the other, so that no more than one thread of the pool is at it. */
  async #run(): Promise<void> {
    for (const [data, { place, since }] of this.#due) {
      if (performance.now() - since < DELAY) break
      this.#due.delete(data)
      await this.#flush(place, data).catch(() => {}) // It is as before: the next bytes try again.
    }
    const [oldest] = this.#due.values()
    this.#isWaiting = false
    if (oldest !== undefined) this.#wait(Math.max(0, oldest.since + DELAY - performance.now()))
  }

  async #flush(place: Place, data: string): Promise<void> {
    const before = await look(place)
    if (before?.record.data !== data || before.record.state.complete) return
    const file = await openIfThere(hiddenPath(place, data), READ)
    if (file === null) return
    try {
      const { size } = await file.stat()
      await file.datasync().catch((error: unknown) => {
        this.#spoiled.set(data, error)
        throw error
      })
      await this.ended(data)
      if (this.#spoiled.has(data)) return
      await sync(place.record)
      const after = await look(place)
      // A record that has changed meanwhile may be of other bytes.
      if (after?.stamp !== before.stamp) return
      await writeMark(place, before.record, Math.min(size, before.record.pinnedSize ?? size))
    } finally {
      await file.close()
    }
  }
}

interface Look {
  readonly stamp: string
  readonly record: FsRecord
}

async function look(place: Place): Promise<Look | null> {
  const found = await ifThere(stat(place.record))
  const text = found === null ? null : await readRecord(place)
  const record = text === null ? null : parseRecord(text)
  return found === null || record === null ? null : { stamp: stampOf(found), record }
}
