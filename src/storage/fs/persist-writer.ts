/**
 * The writer of an upload in progress. It writes bytes straight into the data file, whose length is
 * the offset of the upload, so that an append costs one system call and does not change the record.
 *
 * Readers may read the data file at the same time. An overwrite and a truncation therefore first
 * give the version another entity tag, and invalidate the leases of the readers of this process.
 */

import { open, type FileHandle } from 'node:fs/promises'
import type { ResourceInfo, ResourceState, Writer } from '../adapter.ts'
import { assertCurrent, dropUpload, newRecord, publish } from './commit.ts'
import { retireRecord } from './fence.ts'
import { FileReader, READ_WRITE, totalLength, writeAll } from './io.ts'
import { stagedPath, inStaging, newDataName } from './paths.ts'
import { commitSegment } from './segment.ts'
import { writeFirst } from './small-write.ts'
import { formatRecord, type FsRecord } from './record.ts'
import { writeWatermark } from './durable-size.ts'
import type { FsResource } from './resource.ts'
import { UploadRecord } from './upload-record.ts'
import type { WriterLease } from './writer-lease.ts'
import type { Absent, Incomplete } from './version.ts'

/** Writes an absent or an incomplete resource in place. */
export class PersistWriter implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction = 'persist'
  readonly #resource: FsResource
  readonly #lease: WriterLease
  readonly #initial: ResourceState
  readonly #data: string
  /** The record of the upload, which this writer changes. */
  readonly #upload: UploadRecord
  /** The text of the record as it was found. */
  readonly #revision: string
  #file: FileHandle | null
  #size: number

  /** Takes over `file`, the data file if an earlier segment has left it open; else null. */
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
    this.#upload = new UploadRecord(resource, lease, found, () => this.#open())
    this.#revision = found.revision
    this.#file = file
    this.#data = this.#upload.current?.data ?? newDataName(resource.paths)
    this.#size = this.base?.size ?? 0
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#lease.assertActive()
    const length = totalLength(chunks)
    if (length === 0) return
    if (position > this.#size)
      throw new RangeError(`position ${position} is beyond the end of ${this.#size} bytes`)
    const file = await this.#open()
    this.#lease.invalidateOthers()
    if (position < this.#size) {
      this.#resource.leases.invalidate(this.#data, position, null)
      await this.#upload.markDirty()
    }
    try {
      if (this.#upload.current === null) await this.#create(file, chunks)
      else await this.#put(file, position, chunks)
      this.#size = Math.max(this.#size, position + length)
    } catch (error) {
      // The system may have written a part of the bytes, which count: they are in the file as the
      // client has sent them.
      this.#upload.isUnchanged = false
      if (this.#upload.current !== null) this.#size = Math.max(this.#size, (await file.stat()).size)
      throw error
    }
    const { fsync, flusher, paths } = this.#resource
    if (fsync === 'complete') flusher.touch(paths, this.#data)
    if (fsync !== 'never') flusher.wrote(this.#data, file, length)
  }

  /** Writes bytes of an upload that has a record. */
  #put(file: FileHandle, position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const isFirst = position === this.#size && position === this.base?.size
    return isFirst
      ? writeFirst(this.#resource.paths, file, position, chunks)
      : writeAll(file, position, chunks)
  }

  /**
   * Truncates the upload to `size` bytes. Only bytes that this writer has added can be cut off: the
   * server has acknowledged the bytes of the base in earlier responses.
   */
  async truncate(size: number): Promise<void> {
    this.#lease.assertActive()
    const least = this.base?.size ?? 0
    if (size < least || size > this.#size)
      throw new RangeError(`size ${size} must be from ${least} to ${this.#size}`)
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
    if (this.#upload.current !== null && this.#upload.current.committedSize !== null)
      await this.#upload.finishRecovery()
    const info = state.complete
      ? await this.#commitComplete(file, state)
      : await this.#commitIncomplete(file, state)
    await this.#end()
    return info
  }

  /**
   * Ends the writer, and keeps what it has written so far for the client to resume from. After a
   * failed fsync only durable bytes are kept, because HEAD must not report bytes that may be lost.
   */
  async keep(): Promise<void> {
    if (this.#lease.hasEnded) return
    try {
      if (this.#lease.isInvalid) return
      if (this.#upload.current === null) await this.#discardData()
      else if (this.#hasFailedSync()) await this.#upload.truncateToDurable(this.#size)
      else await this.#keepAll(this.#upload.current)
    } catch (error) {
      if (!this.#lease.isInvalid) throw error
    } finally {
      await this.#end()
    }
  }

  /**
   * Ends the writer. Removes the bytes that the writer has added, or the whole upload if the writer
   * has created it.
   */
  async rollback(): Promise<void> {
    if (this.#lease.hasEnded) return
    try {
      if (this.#lease.isInvalid) return
      if (this.base === null || this.#upload.current === null) await this.#remove()
      else if (this.#hasFailedSync()) await this.#upload.truncateToDurable(this.base.size)
      else if (this.#size > this.base.size) await this.#cut(this.base.size)
      else await this.#upload.finishRecovery()
    } catch (error) {
      if (!this.#lease.isInvalid) throw error
    } finally {
      await this.#end()
    }
  }

  /** Opens the data file at the first use, because some writers are opened and never write. */
  async #open(): Promise<FileHandle> {
    const { paths } = this.#resource
    const path = stagedPath(paths, this.#data)
    const isNew = this.#upload.current === null
    this.#file ??= await (isNew
      ? inStaging(paths, () => open(path, 'wx+'))
      : open(path, READ_WRITE))
    return this.#file
  }

  /**
   * Writes the record and the first bytes at the same time, which saves half of the latency. A
   * crash may leave either of them alone: a record with an empty file reads as an empty upload, and
   * a sweep removes a file without a record.
   */
  async #create(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#upload.put(newRecord(this.#resource, this.#data, this.#initial, 0)),
      writeAll(file, 0, chunks),
    ])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /**
   * Keeps all bytes, and with `fsync: 'segment'` makes them durable before the response reports
   * them.
   */
  async #keepAll(record: FsRecord): Promise<void> {
    await this.#upload.finishRecovery()
    const file = this.#file
    if (file === null || this.#resource.fsync !== 'segment') return
    await this.#resource.flusher.sync(this.#data, file, 'data')
    await writeWatermark(this.#resource.paths, this.#upload.current ?? record, this.#size)
  }

  /**
   * Truncates the upload, under a new entity tag. Readers of bytes beyond `size` fail from now on.
   */
  async #cut(size: number): Promise<void> {
    if (this.#upload.current === null) return
    await this.#upload.beginCut(size)
    this.#resource.leases.invalidate(this.#data, size, null)
    this.#size = size
    await this.#upload.finishRecovery()
  }

  /**
   * Returns whether an fsync of the data file has failed, so that bytes of the page cache may be
   * lost.
   */
  #hasFailedSync(): boolean {
    return this.#resource.flusher.hasFailedSync(this.#data)
  }

  /** Publishes the upload, whose last bytes have arrived. */
  async #commitComplete(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    await this.#assertCurrent()
    this.#upload.isUnchanged = false
    const old = this.#upload.current ?? this.#upload.stored
    return publish(this.#resource, this.#lease, { name: this.#data, file }, state, old)
  }

  /**
   * Ends a segment that leaves the upload incomplete. The data file may stay open for the next
   * segment only if the record was not replaced. A failed commit counts as a change, because the
   * record may be either.
   */
  async #commitIncomplete(file: FileHandle, state: ResourceState): Promise<ResourceInfo> {
    const couldReuse = this.#upload.isUnchanged
    this.#upload.isUnchanged = false
    const segment = {
      data: { name: this.#data, file },
      size: this.#size,
      record: this.#upload.current,
      stored: this.#upload.stored,
      assertCurrent: () => this.#assertCurrent(),
    }
    const { info, isSameRecord } = await commitSegment(this.#resource, this.#lease, segment, state)
    this.#upload.isUnchanged = couldReuse && isSameRecord
    return info
  }

  /**
   * Removes an upload that this writer has created. The record goes first: a crash in between
   * leaves a file to which no record refers, and which a sweep removes.
   */
  async #remove(): Promise<void> {
    const { paths } = this.#resource
    if (this.#upload.current !== null)
      await retireRecord(paths, this.#upload.current, this.#lease.assertValid)
    await this.#discardData()
  }

  /** Unlinks the data file, if this writer has opened it. */
  async #discardData(): Promise<void> {
    if (this.#file !== null) await dropUpload(this.#resource, this.#data)
  }

  /**
   * Throws if another writer has changed the upload since this one was opened.
   *
   * @throws UploadError `ERR_CONFLICT`, or the error of a failed fsync.
   */
  async #assertCurrent(): Promise<void> {
    const record = this.#upload.current
    const { paths, flusher } = this.#resource
    try {
      if (record === null) return await assertCurrent(paths, { kind: 'absent', revision: '' })
      const revision = formatRecord(record)
      await assertCurrent(paths, { kind: 'incomplete', revision, size: this.#size })
    } catch (error) {
      // After a failed fsync `find` counts only durable bytes. The smaller size looks like a change
      // by another writer, so that the failed fsync is reported instead.
      flusher.assertSynced(this.#data)
      throw error
    }
  }

  /**
   * Ends the lease. Closes the data file, or keeps it open for the next segment if only its length
   * has changed.
   */
  async #end(): Promise<void> {
    const { paths, openFiles } = this.#resource
    const file = this.#file
    const record = this.#upload.current
    const isReusable = this.#upload.isUnchanged && !this.#lease.isInvalid
    this.#lease.end()
    if (file === null) return
    if (record === null || !isReusable) await file.close()
    else await openFiles.store(paths.hash, { record, revision: this.#revision, file })
  }
}
