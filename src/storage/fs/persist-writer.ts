/**
 * The writer of an upload in progress: its bytes go where they stay, and the length of the data file
 * tells how far it has come. An append costs one system call and no bookkeeping.
 */

import { fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { ResourceInfo, ResourceState, Writer } from '../adapter.ts'
import { dropUpload, newRecord, publish } from './commit.ts'
import { retireRecord, writeRecord } from './fence.ts'
import { FileReader, READ_WRITE, totalLength, writeAll } from './io.ts'
import { stagedPath, inStaging, newDataName } from './paths.ts'
import { sameState } from '../state.ts'
import { formatRecord, newTag } from './record.ts'
import type { Durability, FsRecord } from './record.ts'
import { truncateToDurable, finishRecovery } from './recover.ts'
import { writeWatermark } from './durable-size.ts'
import { changedMeanwhile, durabilityOf } from './resource.ts'
import type { FsResource } from './resource.ts'
import type { WriterLease } from './writer-lease.ts'
import { find, incompleteInfo } from './version.ts'
import type { Absent, Incomplete } from './version.ts'

/** Writes an absent or incomplete resource in place. */
export class PersistWriter implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction = 'persist'
  readonly #resource: FsResource
  readonly #lease: WriterLease
  readonly #initial: ResourceState
  readonly #data: string
  /** As it is on the disk; null if the disk has none of this upload. */
  #record: FsRecord | null
  /** The record that the first one of this upload replaces. */
  readonly #stored: FsRecord | null
  /** The record is as this writer has found it, and no write has failed. */
  #isUnchanged = true
  /** The text of the record as this writer found it. */
  readonly #revision: string
  #file: FileHandle | null
  #size: number

  /**
   * Takes over the data file if it is open already. The stamp is that of the record.
   */
  constructor(
    resource: FsResource,
    lease: WriterLease,
    found: Absent | Incomplete,
    initial: ResourceState,
    file: FileHandle | null,
  ) {
    this.base = found.kind === 'absent' ? null : found.info
    this.#resource = resource
    this.#lease = lease
    this.#initial = initial
    this.#record = found.kind === 'absent' ? null : found.record
    this.#stored = found.stored
    this.#revision = found.revision
    this.#file = file
    this.#data = this.#record?.data ?? newDataName(resource.paths)
    this.#size = this.base?.size ?? 0
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#lease.assertActive()
    const length = totalLength(chunks)
    if (length === 0) return
    if (position > this.#size) throw new RangeError(`position ${position} is beyond the end`)
    const file = await this.#open()
    this.#lease.invalidateOthers()
    if (position < this.#size) await this.#markDirty(position)
    try {
      if (this.#record === null) await this.#create(file, chunks)
      else await writeAll(file, position, chunks)
      this.#size = Math.max(this.#size, position + length)
    } catch (error) {
      this.#isUnchanged = false // The next segment may need another file.
      if (this.#record !== null) this.#size = Math.max(this.#size, (await file.stat()).size)
      throw error
    }
    const { fsync, flusher, paths } = this.#resource
    if (fsync === 'complete') flusher.touch(paths, this.#data)
    if (fsync !== 'never') flusher.wrote(this.#data, file, length)
  }

  async truncate(size: number): Promise<void> {
    this.#lease.assertActive()
    const least = this.base?.size ?? 0
    if (size < least || size > this.#size) throw new RangeError(`size ${size} is out of range`)
    if (size === this.#size) return
    this.#lease.invalidateOthers()
    await this.#cut(size)
  }

  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < end) yield* new FileReader(await this.#open(), () => {}).read(start, end)
  }

  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#lease.assertActive()
    const file = await this.#open()
    this.#lease.invalidateOthers()
    if (this.#record !== null && this.#record.committedSize !== null) await this.#finishRecovery()
    const info = state.complete
      ? await this.#commitComplete(file, state)
      : await this.#commitIncomplete(file, state)
    await this.#end()
    return info
  }

  async keep(): Promise<void> {
    if (this.#lease.hasEnded) return
    try {
      if (this.#lease.isInvalid) return
      if (this.#record === null) await this.#discardData()
      else if (this.#hasFailedSync()) await this.#truncateToDurable(this.#record, this.#size)
      else await this.#keepAll(this.#record)
    } catch (error) {
      if (!this.#lease.isInvalid) throw error
    } finally {
      await this.#end()
    }
  }

  async rollback(): Promise<void> {
    if (this.#lease.hasEnded) return
    try {
      if (this.#lease.isInvalid) return
      if (this.base === null || this.#record === null) await this.#remove()
      else if (this.#hasFailedSync()) await this.#truncateToDurable(this.#record, this.base.size)
      else if (this.#size > this.base.size) await this.#cut(this.base.size)
      else await this.#finishRecovery()
    } catch (error) {
      if (!this.#lease.isInvalid) throw error
    } finally {
      await this.#end()
    }
  }

  async #open(): Promise<FileHandle> {
    const { paths } = this.#resource
    const path = stagedPath(paths, this.#data)
    const isNew = this.#record === null
    this.#file ??= await (isNew
      ? inStaging(paths, () => open(path, 'wx+'))
      : open(path, READ_WRITE))
    return this.#file
  }

  /** The record and the first bytes, at the same time: neither is wrong without the other. */
  async #create(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#putRecord(newRecord(this.#resource, this.#data, this.#initial, 0)),
      writeAll(file, 0, chunks),
    ])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Before bytes are written over in place: until `#settle` they have no entity tag. */
  async #markDirty(position: number): Promise<void> {
    this.#resource.leases.invalidate(this.#data, position, null)
    if (this.#record === null || this.#record.isDirty) return
    await this.#putRecord({ ...this.#record, isDirty: true })
  }

  /** Gives the bytes that were written over their entity tag, and ends a cut that has failed. */
  async #finishRecovery(): Promise<void> {
    const record = this.#record
    if (record === null || (record.committedSize === null && !record.isDirty)) return
    this.#isUnchanged = false
    this.#record = await finishRecovery(
      this.#resource,
      await this.#open(),
      record,
      this.#lease.assertValid,
    )
  }

  async #keepAll(record: FsRecord): Promise<void> {
    await this.#finishRecovery()
    const file = this.#file
    if (file === null || this.#resource.fsync !== 'segment') return
    await this.#resource.flusher.sync(this.#data, file, 'data')
    await writeWatermark(this.#resource.paths, this.#record ?? record, this.#size)
  }

  /** Takes bytes back that readers have seen: what comes in their place must not have their tag. */
  async #cut(size: number): Promise<void> {
    if (this.#record === null) return
    const durableSize = Math.min(this.#record.durableSize, size)
    const time = { lastModified: Date.now(), committedSize: size, durableSize }
    const cut = { ...this.#record, ...time, tag: newTag() }
    await this.#putRecord(cut)
    this.#resource.leases.invalidate(this.#data, size, null)
    this.#size = size
    this.#record = await finishRecovery(
      this.#resource,
      await this.#open(),
      cut,
      this.#lease.assertValid,
    )
  }

  #hasFailedSync(): boolean {
    return this.#resource.flusher.hasFailedSync(this.#data)
  }

  async #truncateToDurable(record: FsRecord, limit: number): Promise<void> {
    this.#isUnchanged = false
    this.#record = await truncateToDurable(
      this.#resource,
      await this.#open(),
      record,
      this.#lease.assertValid,
      limit,
    )
  }

  async #commitComplete(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    await this.#assertCurrent()
    this.#isUnchanged = false
    const old = this.#record ?? this.#stored
    return publish(this.#resource, this.#lease, { name: this.#data, file }, state, old)
  }

  async #commitIncomplete(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    const { paths, fsync } = this.#resource
    const old = this.#record
    const isSame = old !== null && !old.isDirty && sameState(old.state, state)
    // A record that takes the place of another must not come to the disk before its data.
    const isSynced = fsync === 'segment' || (fsync !== 'never' && old !== null && !isSame)
    if (isSynced) await this.#resource.flusher.sync(this.#data, file, 'data')
    // An open file: the system answers from memory.
    const stats = fstatSync(file.fd)
    if (stats.nlink === 0 || stats.size !== this.#size) throw changedMeanwhile()
    if (isSame) {
      if (isSynced) await writeWatermark(paths, old, stats.size)
      return incompleteInfo(old, stats)
    }
    await this.#assertCurrent()
    const mode = old?.mode ?? null
    const durableSize = isSynced ? stats.size : 0
    const record = { ...newRecord(this.#resource, this.#data, state, durableSize), mode }
    this.#isUnchanged = false
    const durability = this.#durability(old)
    await writeRecord(paths, old ?? this.#stored, record, durability, this.#lease.assertValid)
    return incompleteInfo(record, stats)
  }

  /** A new upload is a matter of seconds, and not worth two fsyncs; one that has grown is. */
  #durability(old: FsRecord | null): Durability {
    if (old === null && this.#resource.fsync === 'complete') return 'later'
    return durabilityOf(this.#resource)
  }

  async #putRecord(record: FsRecord): Promise<void> {
    this.#isUnchanged = false
    const { assertValid } = this.#lease
    const durability = this.#durability(this.#record)
    const old = this.#record ?? this.#stored
    await writeRecord(this.#resource.paths, old, record, durability, assertValid)
    this.#record = record
  }

  async #remove(): Promise<void> {
    const { paths } = this.#resource
    if (this.#record !== null) await retireRecord(paths, this.#record, this.#lease.assertValid)
    await this.#discardData()
  }

  async #discardData(): Promise<void> {
    if (this.#file !== null) await dropUpload(this.#resource, this.#data)
  }

  /** Asks the disk, for a writer in another process. */
  async #assertCurrent(): Promise<void> {
    const found = await find(this.#resource.paths)
    const record = this.#record
    if (record === null && found.kind === 'absent') return
    if (record === null || found.kind !== 'incomplete') throw changedMeanwhile()
    if (found.revision !== formatRecord(record) || found.info.size !== this.#size) {
      throw changedMeanwhile()
    }
  }

  /** Lets go of the file: for the next segment if nothing but its length has changed. */
  async #end(): Promise<void> {
    const { paths, openFiles } = this.#resource
    const file = this.#file
    const record = this.#record
    const isReusable = this.#isUnchanged && !this.#lease.isInvalid
    this.#lease.end()
    if (file === null) return
    if (record === null || !isReusable) await file.close()
    else await openFiles.store(paths.hash, { record, revision: this.#revision, file })
  }
}
