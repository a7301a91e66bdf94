/** The record of an upload, as one writer reads and changes it. */

import type { FileHandle } from 'node:fs/promises'
import { writeRecord } from './fence.ts'
import { newTag } from './record.ts'
import type { FsRecord } from './record.ts'
import { finishRecovery, truncateToDurable } from './recover.ts'
import { uploadDurability } from './resource.ts'
import type { FsResource } from './resource.ts'
import type { Absent, Incomplete } from './version.ts'
import type { WriterLease } from './writer-lease.ts'

/** Replaces the record before each change of the bytes that readers may have seen. */
export class UploadRecord {
  /**
   * The record on the disk as this writer has read or written it; null before the first byte of a
   * new upload.
   */
  current: FsRecord | null
  /**
   * The record on the disk that the first record of a new upload replaces. It describes a version
   * whose file was removed; null if there is none.
   */
  readonly stored: FsRecord | null
  /**
   * Whether the record is the one that was found and no write has failed. Only then can the next
   * segment continue with the open data file (`open-files.ts`).
   */
  isUnchanged = true
  readonly #resource: FsResource
  readonly #lease: WriterLease
  readonly #openFile: () => Promise<FileHandle>

  /** `openFile` opens the data file of the upload. */
  constructor(
    resource: FsResource,
    lease: WriterLease,
    found: Absent | Incomplete,
    openFile: () => Promise<FileHandle>,
  ) {
    this.current = found.kind === 'absent' ? null : found.record
    this.stored = found.stored
    this.#resource = resource
    this.#lease = lease
    this.#openFile = openFile
  }

  /** Replaces the record by `record`, which becomes the current one. */
  async put(record: FsRecord): Promise<void> {
    this.isUnchanged = false
    const { assertValid } = this.#lease
    const durability = uploadDurability(this.#resource, this.current)
    const old = this.current ?? this.stored
    await writeRecord(this.#resource.paths, old, record, durability, assertValid)
    this.current = record
  }

  /**
   * Marks the record as dirty before bytes are overwritten in place. While it is dirty, each HEAD
   * returns a new entity tag, so that no client resumes or caches bytes that change.
   * `finishRecovery` ends that.
   */
  async markDirty(): Promise<void> {
    if (this.current === null || this.current.isDirty) return
    await this.put({ ...this.current, isDirty: true })
  }

  /**
   * Notes that the upload is about to be truncated to `size` bytes, under a new tag: readers may
   * have seen the bytes that are cut off, and the bytes that will replace them must not have the
   * same entity tag. The record is written before the file is truncated by `finishRecovery`, with
   * `size` as the committed size. After a crash in between, the next writer truncates the file.
   */
  async beginCut(size: number): Promise<void> {
    if (this.current === null) return
    const durableSize = Math.min(this.current.durableSize, size)
    const time = { lastModified: Date.now(), committedSize: size, durableSize }
    await this.put({ ...this.current, ...time, tag: newTag() })
  }

  /**
   * Gives the bytes a stable entity tag after an overwrite, and truncates the file after
   * `beginCut`. Does nothing if neither is needed.
   */
  async finishRecovery(): Promise<void> {
    const record = this.current
    if (record === null || (record.committedSize === null && !record.isDirty)) return
    this.isUnchanged = false
    const { assertValid } = this.#lease
    this.current = await finishRecovery(this.#resource, await this.#openFile(), record, assertValid)
  }

  /** Truncates the upload to the bytes that were fsynced, at most to `limit`. */
  async truncateToDurable(limit: number): Promise<void> {
    if (this.current === null) return
    this.isUnchanged = false
    const { assertValid } = this.#lease
    const file = await this.#openFile()
    this.current = await truncateToDurable(this.#resource, file, this.current, assertValid, limit)
  }
}
