/**
 * The writer of an upload in progress: its bytes go where they stay, and the length of the data file
 * tells how far it has come. An append costs one system call and no bookkeeping.
 */

import { fstatSync } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { ResourceInfo, ResourceState, Writer } from './adapter.ts'
import {
  changedMeanwhile,
  discard,
  newRecord,
  publish,
  replaceRecord,
  settle,
} from './fs-commit.ts'
import type { Site } from './fs-commit.ts'
import type { Hold } from './fs-holds.ts'
import { FileReader, ifThere, totalLength, writeAll } from './fs-io.ts'
import { hiddenPath, newDataName } from './fs-place.ts'
import { formatRecord, newTag, sameState, writeRecord } from './fs-record.ts'
import type { Durability, FsRecord } from './fs-record.ts'
import { find, incompleteInfo } from './fs-version.ts'
import type { Absent, Incomplete } from './fs-version.ts'

/** Writes an absent or incomplete resource in place. */
export class PersistWriter implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction = 'persist'
  readonly #site: Site
  readonly #hold: Hold
  readonly #initial: ResourceState
  readonly #data: string
  /** As it is on the disk. */
  #record: FsRecord | null
  /** Of the record's file; null once this writer has changed it. */
  #stamp: string | null
  /** The text of the record as this writer found it. */
  readonly #revision: string
  #file: FileHandle | null
  #size: number
  #ended = false

  /**
   * Takes over `hold`, which tells when another writer has changed the resource, and the data file if
   * it is open already. The stamp is that of the record.
   */
  constructor(
    site: Site,
    hold: Hold,
    found: Absent | Incomplete,
    initial: ResourceState,
    { stamp, file }: { readonly stamp: string | null; readonly file: FileHandle | null },
  ) {
    this.base = found.kind === 'absent' ? null : found.info
    this.#site = site
    this.#hold = hold
    this.#initial = initial
    this.#record = found.kind === 'absent' ? null : found.record
    this.#stamp = stamp
    this.#revision = found.revision
    this.#file = file
    this.#data = this.#record?.data ?? newDataName(site.place)
    this.#size = this.base?.size ?? 0
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertUsable()
    const length = totalLength(chunks)
    if (length === 0) return
    if (position > this.#size) throw new RangeError(`position ${position} is beyond the end`)
    const file = await this.#open()
    this.#claim()
    if (position < this.#size) await this.#unsettle(position)
    try {
      if (this.#record === null) await this.#create(file, chunks)
      else await writeAll(file, position, chunks)
      this.#size = Math.max(this.#size, position + length)
    } catch (error) {
      if (this.#record !== null) this.#size = Math.max(this.#size, (await file.stat()).size)
      throw error
    }
  }

  async truncate(size: number): Promise<void> {
    this.#assertUsable()
    const least = this.base?.size ?? 0
    if (size < least || size > this.#size) throw new RangeError(`size ${size} is out of range`)
    if (size === this.#size) return
    this.#claim()
    await this.#cut(size)
  }

  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < end) yield* new FileReader(await this.#open(), () => {}).read(start, end)
  }

  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#assertUsable()
    const file = await this.#open()
    this.#claim()
    if (this.#record !== null && this.#record.pinnedSize !== null) await this.#settle()
    const info = state.complete ? await this.#finish(file, state) : await this.#advance(file, state)
    await this.#end()
    return info
  }

  async keep(): Promise<void> {
    if (this.#ended) return
    try {
      if (this.#hold.lost) return
      if (this.#record === null) await this.#discardData()
      else await this.#settle()
      if (this.#site.fsync === 'segment') await this.#file?.datasync()
    } finally {
      await this.#end()
    }
  }

  async rollback(): Promise<void> {
    if (this.#ended) return
    try {
      if (this.#hold.lost) return
      if (this.base === null) await this.#remove()
      else if (this.#size > this.base.size) await this.#cut(this.base.size)
      else await this.#settle()
    } finally {
      await this.#end()
    }
  }

  async #open(): Promise<FileHandle> {
    const path = hiddenPath(this.#site.place, this.#data)
    this.#file ??= await open(path, this.#record === null ? 'wx+' : 'r+')
    return this.#file
  }

  /** The record and the first bytes, at the same time: neither is wrong without the other. */
  async #create(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#putRecord(newRecord(this.#site.place, this.#data, this.#initial)),
      writeAll(file, 0, chunks),
    ])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Before bytes are written over in place: until `#settle` they have no entity tag. */
  async #unsettle(position: number): Promise<void> {
    this.#site.holds.lose(this.#data, position, null)
    if (this.#record === null || this.#record.unsettled) return
    await this.#putRecord({ ...this.#record, unsettled: true })
  }

  /** Gives the bytes that were written over their entity tag, and ends a cut that has failed. */
  async #settle(): Promise<void> {
    const record = this.#record
    if (record === null || (record.pinnedSize === null && !record.unsettled)) return
    this.#stamp = null
    this.#record = await settle(this.#site.place, await this.#open(), record)
  }

  /** Takes bytes back that readers have seen: what comes in their place must not have their tag. */
  async #cut(size: number): Promise<void> {
    if (this.#record === null) return
    const { place, holds } = this.#site
    const cut = { ...this.#record, tag: newTag(), lastModified: Date.now(), pinnedSize: size }
    await this.#putRecord(cut)
    holds.lose(this.#data, size, null)
    this.#size = size
    this.#record = await settle(place, await this.#open(), cut)
  }

  async #finish(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    await this.#assertCurrent()
    this.#stamp = null
    return publish(this.#site, this.#hold, { name: this.#data, file }, state, this.#record)
  }

  async #advance(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    const { place, fsync } = this.#site
    if (fsync === 'segment') await file.datasync()
    // An open file: the system answers from memory.
    const { nlink, size, mtimeMs } = fstatSync(file.fd)
    if (nlink === 0 || size !== this.#size) throw changedMeanwhile()
    let record = this.#record
    if (record === null || record.unsettled || !sameState(record.state, state)) {
      await this.#assertCurrent()
      record = newRecord(place, this.#data, state)
      this.#stamp = null
      await replaceRecord(place, this.#record, record, this.#durability())
    }
    return incompleteInfo(record, size, mtimeMs)
  }

  #durability(): Durability {
    return this.#site.fsync === 'segment' ? 'now' : 'later'
  }

  async #putRecord(record: FsRecord): Promise<void> {
    this.#stamp = null
    await writeRecord(this.#site.place, record, this.#durability())
    this.#record = record
  }

  async #remove(): Promise<void> {
    if (this.#record !== null) await ifThere(unlink(this.#site.place.record))
    await this.#discardData()
  }

  async #discardData(): Promise<void> {
    if (this.#file !== null) await discard(hiddenPath(this.#site.place, this.#data))
  }

  /** Tells the other writers of this process, if there are any, that they are too late. */
  #claim(): void {
    this.#site.holds.lose(this.#site.place.hash, 0, this.#hold)
  }

  #assertUsable(): void {
    if (this.#ended) throw new Error('the writer has ended')
    if (this.#hold.lost) throw changedMeanwhile()
  }

  /** Asks the disk, for a writer in another process. */
  async #assertCurrent(): Promise<void> {
    const found = await find(this.#site.place)
    const record = this.#record
    if (record === null && found.kind === 'absent') return
    if (record === null || found.kind !== 'incomplete') throw changedMeanwhile()
    if (found.revision !== formatRecord(record) || found.info.size !== this.#size) {
      throw changedMeanwhile()
    }
  }

  /** Lets go of the file: for the next segment if nothing but its length has changed. */
  async #end(): Promise<void> {
    const { place, holds, uploads } = this.#site
    const file = this.#file
    const record = this.#record
    const stamp = this.#hold.lost ? null : this.#stamp
    this.#ended = true
    holds.drop(this.#hold)
    if (file === null) return
    if (record === null || stamp === null) await file.close()
    else await uploads.put(place.hash, { record, revision: this.#revision, stamp, file })
  }
}
