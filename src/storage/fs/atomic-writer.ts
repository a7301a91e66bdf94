/**
 * The writer whose bytes are invisible before `commit`. It writes to one of two files:
 *
 * - An append to an incomplete resource goes to the end of its data file, because a copy of a large
 *   upload for each append would cost too much. Before the first byte, a new record notes how many
 *   bytes of the file count, so that neither a reader nor a process after a crash counts the bytes
 *   behind them.
 * - Any other change goes to a private copy (`private-copy.ts`), which is made before the first
 *   change.
 */

import type { FileHandle } from 'node:fs/promises'
import type { ResourceInfo, ResourceState, Writer } from '../adapter.ts'
import {
  assertCurrent,
  assertStaged,
  dropLayers,
  dropUpload,
  isNamed,
  newRecord,
  publish,
  replaceRecord,
} from './commit.ts'
import { copyVersion } from './layers/copy-version.ts'
import { writeRecord } from './fence.ts'
import { FileReader, totalLength, writeAll } from './io.ts'
import type { ReadableFile } from './io.ts'
import { inStaging, newDataName } from './paths.ts'
import { PrivateCopy } from './private-copy.ts'
import { sameState } from '../state.ts'
import { formatRecord } from './record.ts'
import type { FsRecord } from './record.ts'
import { truncateToDurable, removeReplaced, finishRecovery } from './recover.ts'
import { SourceFile } from './source-file.ts'
import { durabilityOf } from './resource.ts'
import type { DataFile, FsResource } from './resource.ts'
import type { WriterLease } from './writer-lease.ts'
import { completeInfo, incompleteInfo } from './version-info.ts'
import type { Complete, Found, Incomplete } from './version.ts'

/** Writes a new version while readers see the current one. */
export class AtomicWriter implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction = 'atomic'
  readonly #resource: FsResource
  readonly #lease: WriterLease
  readonly #found: Found
  /** The version from which the write starts; null if it starts with an empty resource. */
  readonly #source: Incomplete | Complete | null
  /**
   * The record on the disk as this writer knows it, and the revision that `find` returns for it.
   */
  #record: FsRecord | null
  #revision: string
  /** The file of the source, opened at the first use. */
  readonly #sourceFile: SourceFile
  /** The data file of the incomplete source, once bytes were appended to it. */
  #appended: DataFile | null = null
  #copy: PrivateCopy | null = null
  #size: number

  constructor(resource: FsResource, lease: WriterLease, found: Found, start: 'base' | 'empty') {
    this.base = found.kind === 'absent' ? null : found.info
    this.#resource = resource
    this.#lease = lease
    this.#sourceFile = new SourceFile(resource.paths)
    this.#found = found
    this.#source = start === 'empty' || found.kind === 'absent' ? null : found
    this.#record = found.stored
    this.#revision = found.revision
    this.#size = this.#source?.info.size ?? 0
  }

  /**
   * Writes into the copy, or at the end of the data file. A failure may leave some of the bytes.
   */
  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#lease.assertActive()
    const length = totalLength(chunks)
    if (length === 0) return
    const { name, file } = await this.#target(position, this.#size)
    try {
      // A position beyond the end leaves a hole, which reads as zeros, as the interface requires.
      await writeAll(file, position, chunks)
      this.#size = Math.max(this.#size, position + length)
    } catch (error) {
      // A full disk may have taken a part of the bytes. The next write needs the real size.
      this.#size = (await file.stat()).size
      throw error
    }
    if (durabilityOf(this.#resource) === 'now') this.#resource.flusher.wrote(name, file, length)
  }

  /** Truncates the new version. If that needs a private copy, it gets only the bytes that stay. */
  async truncate(size: number): Promise<void> {
    this.#lease.assertActive()
    if (size < 0 || size > this.#size)
      throw new RangeError(`size ${size} must be from 0 to ${this.#size}`)
    if (size === this.#size) return
    const { file } = await this.#target(size, size)
    await file.truncate(size)
    this.#size = size
  }

  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < end) yield* new FileReader(await this.#current(), () => {}).read(start, end)
  }

  /**
   * Publishes the write if the resource has not changed since the writer was opened. The rename of
   * the new record is the point of no return. If a later step fails, the old record is restored.
   */
  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#lease.assertActive()
    const { kind } = this.#found
    const expected = { kind, revision: this.#revision, size: this.base?.size }
    await assertCurrent(this.#resource.paths, expected)
    this.#lease.invalidateOthers()
    this.#copy?.freezeTime()
    const info = state.complete
      ? await this.#commitComplete(state)
      : await this.#commitIncomplete(state)
    await this.#end()
    return info
  }

  /** Ends the writer like `rollback`: an atomic write keeps no part of its bytes. */
  keep(): Promise<void> {
    return this.rollback()
  }

  /**
   * Ends the writer. Removes the copy, or truncates the data file to its size before the append.
   * After a lost lock, the data file belongs to the new owner.
   */
  async rollback(): Promise<void> {
    if (this.#lease.hasEnded) return
    try {
      if (this.#copy !== null && !(await isNamed(this.#resource.paths, this.#copy.name))) {
        await dropUpload(this.#resource, this.#copy.name)
      }
      if (this.#appended !== null && !this.#lease.isInvalid)
        await this.#undoAppend(this.#appended.file)
    } catch (error) {
      if (!this.#lease.isInvalid) throw error
    } finally {
      await this.#end()
    }
  }

  /** Returns the file for a change from `position` on. A new copy gets the first `needed` bytes. */
  async #target(position: number, needed: number): Promise<DataFile> {
    if (this.#copy !== null) return this.#copy
    const source = this.#source
    if (source?.kind === 'incomplete' && position >= source.info.size)
      return this.#beginAppend(source)
    return this.#makeCopy(needed)
  }

  /**
   * Writes a record with the committed size, so that the data file can grow without the new bytes
   * being counted, by readers or by the next process after a crash.
   */
  async #beginAppend(source: Incomplete): Promise<DataFile> {
    if (this.#appended !== null) return this.#appended
    this.#lease.invalidateOthers()
    const { record, info } = source
    const file = await this.#sourceFile.openUpload(source)
    const begun = { ...record, lastModified: info.lastModified.getTime(), committedSize: info.size }
    const durability = durabilityOf(this.#resource)
    await writeRecord(this.#resource.paths, record, begun, durability, this.#lease.assertValid)
    this.#record = begun
    this.#revision = formatRecord(begun)
    this.#appended = { name: record.data, file }
    return this.#appended
  }

  /**
   * Truncates the data file to its size before the append; after a failed fsync, to its durable
   * bytes.
   */
  async #undoAppend(file: FileHandle): Promise<void> {
    if (this.#record === null) return
    const hasFailedSync = this.#resource.flusher.hasFailedSync(this.#record.data)
    const { assertValid } = this.#lease
    const limit = this.base?.size ?? 0
    if (hasFailedSync)
      await truncateToDurable(this.#resource, file, this.#record, assertValid, limit)
    else await finishRecovery(this.#resource, file, this.#record, assertValid)
  }

  /**
   * Makes the private copy with the first `needed` bytes of the source. A file with layers is
   * copied block by block, because its bytes are in several files.
   */
  async #makeCopy(needed: number): Promise<PrivateCopy> {
    const source = needed === 0 ? null : this.#source
    const { paths } = this.#resource
    const hasLayers = source?.kind === 'complete' && source.overlay !== null
    const copy = await PrivateCopy.create(paths, hasLayers ? null : (source?.path ?? null))
    this.#copy = copy
    if (hasLayers) await copyVersion(await this.#sourceFile.openFinished(source), copy.file, needed)
    else if (source !== null && needed < this.#size) await copy.file.truncate(needed)
    return copy
  }

  /** Returns the file that has the bytes of this write so far. */
  async #current(): Promise<ReadableFile> {
    if (this.#copy !== null) return this.#copy.file
    const source = this.#source
    if (source === null) throw new RangeError('a write that begins empty has no bytes to read')
    return this.#sourceFile.open(source)
  }

  /**
   * Publishes a finished resource. The copy, or the data file of an upload, is moved to the path. A
   * finished file whose bytes were not changed stays where it is, and only gets a new record.
   */
  async #commitComplete(state: ResourceState): Promise<ResourceInfo> {
    const source = this.#source
    if (this.#copy === null && source?.kind === 'complete') return this.#commitState(source, state)
    if (this.#copy === null && source?.kind === 'incomplete') {
      const data = { name: source.record.data, file: await this.#sourceFile.openUpload(source) }
      return publish(this.#resource, this.#lease, data, state, this.#record)
    }
    const data = this.#copy ?? (await this.#makeCopy(0))
    return publish(this.#resource, this.#lease, data, state, this.#record)
  }

  /** Gives a finished file another state, such as another media type. */
  async #commitState(source: Complete, state: ResourceState): Promise<ResourceInfo> {
    if (source.record !== null && sameState(source.record.state, state)) return source.info
    const { paths } = this.#resource
    const name = source.record?.data ?? newDataName(paths)
    const { size } = source.info
    const record = {
      ...newRecord(this.#resource, name, state, size),
      published: source.fingerprint,
      overlay: source.overlay,
    }
    await inStaging(paths, () => this.#replaceRecord(record, async () => {}))
    if (source.overlay === null) await dropLayers(this.#resource, this.#record)
    return completeInfo(record, size)
  }

  /**
   * Makes the copy the data file of an incomplete resource. If a finished file was reopened, it is
   * removed only after the new record is durable, because until then it is the current version.
   */
  async #commitIncomplete(state: ResourceState): Promise<ResourceInfo> {
    const source = this.#source
    if (this.#copy === null && source?.kind === 'incomplete')
      return this.#commitAppend(source, state)
    const found = this.#found
    const copy = this.#copy ?? (await this.#makeCopy(this.#size))
    const { name, file } = copy
    const mode = await copy.adoptMode(found)
    if (durabilityOf(this.#resource) === 'now')
      await this.#resource.flusher.sync(name, file, 'data')
    const stats = await file.stat()
    const published = found.kind === 'complete' ? found.fingerprint : null
    const record = { ...newRecord(this.#resource, name, state, stats.size), published, mode }
    const { paths } = this.#resource
    await this.#replaceRecord(record, () => assertStaged(paths, copy))
    if (found.kind === 'incomplete') await dropUpload(this.#resource, found.record.data)
    await removeReplaced(paths, record, this.#lease.assertValid)
    await dropLayers(this.#resource, found.stored)
    return incompleteInfo(record, stats)
  }

  /**
   * Commits an append. A new record without a committed size makes all bytes of the data file
   * count.
   */
  async #commitAppend(source: Incomplete, state: ResourceState): Promise<ResourceInfo> {
    if (this.#appended === null && sameState(source.record.state, state)) return source.info
    const name = source.record.data
    const file = await this.#sourceFile.openUpload(source)
    if (durabilityOf(this.#resource) === 'now')
      await this.#resource.flusher.sync(name, file, 'data')
    const stats = await file.stat()
    const { mode } = source.record
    const record = { ...newRecord(this.#resource, name, state, stats.size), mode }
    await this.#replaceRecord(record, () => assertStaged(this.#resource.paths, { name, file }))
    return incompleteInfo(record, stats)
  }

  /** Replaces the record, and then calls `next`. If `next` fails, the old record is restored. */
  #replaceRecord(record: FsRecord, next: () => Promise<void>): Promise<void> {
    return replaceRecord(this.#resource, this.#lease, this.#record, record, next)
  }

  /** Ends the lease and closes all files, even if one of them fails to close. */
  async #end(): Promise<void> {
    this.#lease.end()
    const files = [this.#sourceFile, this.#copy]
    const outcomes = await Promise.allSettled(files.map(async (file) => file?.close()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}
