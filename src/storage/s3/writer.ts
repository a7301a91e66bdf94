/**
 * Changes one resource: gathers the received bytes, records those of an upload, and publishes the
 * finished version.
 */
import type {
  OpenWriterOptions,
  ResourceInfo,
  ResourceState,
  Transaction,
  Writer,
} from '../adapter.ts'
import type { UploadError } from '../../errors.ts'
import { conflict, overtaken } from '../conflict.ts'
import { copyState } from '../state.ts'
import type { S3Context } from './context.ts'
import { deleteLater } from './delete-later.ts'
import { infoOf, newVersion } from './object-version.ts'
import { leadingStored, lengthOf, piecesOf, recorded, slicePieces, withStored } from './pieces.ts'
import type { Piece } from './pieces.ts'
import { publish } from './publish.ts'
import { VanishedError, readPieces } from './read.ts'
import { RecordLostError, isRaceLost } from './record-store.ts'
import { UploadRecord } from './upload-record.ts'
import type { View } from './view.ts'
import { WrittenContent } from './written-content.ts'

/**
 * Writes one resource. The version that is written is a list of pieces, in the object store and in
 * memory. A persist writer puts the list into the record from time to time, which shows the bytes
 * to readers. An atomic writer keeps it to itself until the commit.
 */
export class S3Writer implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction: Transaction
  readonly #context: S3Context
  readonly #key: string
  readonly #name: string
  readonly #options: OpenWriterOptions
  /** The resource when the writer was opened. */
  readonly #view: View
  readonly #record: UploadRecord
  /** The bytes of the version so far. */
  readonly #content: WrittenContent
  /** Whether the record still lacks bytes or changes of this writer, which a crash would lose. */
  #isBehind = false
  /** Fires when received bytes have to be recorded; null if none are waiting for that. */
  #timer: NodeJS.Timeout | null = null
  /** Resolves when the change of the record that is in progress has ended. */
  #work: Promise<unknown> = Promise.resolve()
  #isEnded = false

  constructor(context: S3Context, key: string, options: OpenWriterOptions, view: View) {
    const { current } = view
    const mayPersist = options.transaction === 'persist' && !(options.replace && current !== null)
    this.base = current?.info ?? null
    this.transaction = mayPersist && this.base?.complete !== true ? 'persist' : 'atomic'
    this.#context = context
    this.#key = key
    this.#name = context.layout.object(key)
    this.#options = { ...options, initial: copyState(options.initial) }
    this.#view = view
    this.#record = new UploadRecord(context, key, view)
    const pieces =
      options.replace || current === null ? [] : piecesOf(current.extents, current.inline)
    this.#content = new WrittenContent(context, this.#name, this.#record.folder, pieces)
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertActive()
    if (chunks.every(({ length }) => length === 0)) return
    const { size } = this.#content
    if (this.transaction === 'persist' && position > size) {
      throw new RangeError(`position ${position} is beyond the end of ${size} bytes`)
    }
    this.#content.write(position, chunks)
    this.#isBehind = true
    this.#schedule()
    await this.#content.room()
  }

  async flush(): Promise<void> {
    this.#assertActive()
    if (this.transaction === 'persist') await this.#exclusive(() => this.#recordAll())
  }

  async truncate(size: number): Promise<void> {
    this.#assertActive()
    const isPersist = this.transaction === 'persist'
    const least = isPersist ? (this.base?.size ?? 0) : 0
    const largest = this.#content.size
    if (size < least || size > largest)
      throw new RangeError(`size ${size} must be from ${least} to ${largest}`)
    if (size === largest) return
    this.#content.truncate(size)
    this.#isBehind = true
    if (isPersist) await this.#exclusive(() => this.#recordAll())
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readPieces(this.#context, this.#name, slicePieces(this.#content.pieces, start, end))
    } catch (error) {
      throw error instanceof VanishedError ? this.#beaten(error) : error
    }
  }

  async commit(state: ResourceState): Promise<ResourceInfo> {
    this.#assertActive()
    const info = await this.#exclusive(() =>
      state.complete ? this.#publish(state) : this.#recordMerged(state),
    )
    await this.#end()
    return info
  }

  async keep(): Promise<void> {
    if (this.#isEnded) return
    try {
      if (this.#isLost || this.transaction === 'atomic' || !this.#isBehind) return
      await this.#exclusive(() => this.#recordMerged(this.#openState()))
    } catch (error) {
      if (!isRaceLost(error)) throw error
    } finally {
      await this.#end()
    }
  }

  async rollback(): Promise<void> {
    if (this.#isEnded) return
    try {
      if (this.#isLost || this.transaction === 'atomic') return
      await this.#exclusive(() => this.#undo())
    } catch (error) {
      if (!isRaceLost(error)) throw error
    } finally {
      await this.#end()
    }
  }

  get #isLost(): boolean {
    return this.#options.isLost?.() === true
  }

  /**
   * Sets the timer that records the bytes of a persist write after `flushAfter`. A slow client may
   * send no more for a long time.
   */
  #schedule(): void {
    if (this.transaction === 'atomic' || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (this.#isEnded || this.#isLost) return
      // A failure is not reported here. The bytes stay unrecorded, so that the next method of the
      // writer tries again and reports it.
      this.#exclusive(() => this.#recordProgress()).catch(() => undefined)
    }, this.#context.limits.flushAfter).unref()
  }

  /**
   * Records the bytes that are in the object store. If all of these are recorded, as with a slow
   * client, the bytes in memory are stored and recorded too.
   */
  async #recordProgress(): Promise<void> {
    if (!this.#isBehind) return
    const stored = leadingStored(this.#content.pieces)
    const size = lengthOf(stored)
    if (size > (this.#record.shown?.content.size ?? 0)) {
      await this.#show(stored, this.#openState())
      this.#isBehind = true
      this.#schedule()
    } else await this.#recordAll()
  }

  /** Stores and records all bytes. */
  async #recordAll(): Promise<void> {
    if (this.#isBehind) await this.#show([...this.#content.pieces], this.#openState())
  }

  /** Stores and records all bytes at the end of the write, and merges many small data objects. */
  async #recordMerged(state: ResourceState): Promise<ResourceInfo> {
    await this.#content.storeMerged()
    const info = await this.#show(this.#content.pieces, state)
    // The bytes are visible already. The outcome of a merge is recorded too, because the merge
    // would be in vain otherwise, and the next request would begin it again.
    const isShorter = await this.#content.settleMerge()
    return isShorter ? this.#show(this.#content.pieces, state) : info
  }

  /** Returns the state of an upload that is not committed. */
  #openState(): ResourceState {
    return this.base ?? this.#options.initial
  }

  /**
   * Makes `pieces` the current version, as an upload in the record. The lock is checked right
   * before the record is replaced.
   */
  async #show(pieces: readonly Piece[], state: ResourceState): Promise<ResourceInfo> {
    this.#isBehind = false
    try {
      await this.#content.store(pieces)
      const { extents, inline } = recorded(pieces)
      const content = { ...newVersion(state, this.base), size: lengthOf(pieces), extents }
      if (this.#isLost) throw conflict()
      await this.#record.show(content, inline)
      deleteLater(this.#context, this.#content.takeReplaced(extents))
      return infoOf(content)
    } catch (error) {
      this.#isBehind = true
      throw error instanceof RecordLostError ? this.#beaten(error) : error
    }
  }

  /** Publishes the version as the finished object. */
  async #publish(state: ResourceState): Promise<ResourceInfo> {
    const version = { ...newVersion(state, this.base), size: this.#content.size }
    try {
      await this.#content.drain()
      await publish(this.#context, {
        key: this.#key,
        handle: this.#record.handle,
        view: this.#view,
        version,
        pieces: withStored(this.#content.pieces),
        shown: this.#record.shown,
        folder: this.#record.folder,
        removed: this.#record.removed,
      })
      const unneeded = [...withStored(this.#content.pieces), ...this.#content.takeReplaced([])]
      deleteLater(this.#context, unneeded)
      return infoOf(version)
    } catch (error) {
      if (error instanceof RecordLostError || error instanceof VanishedError)
        throw this.#beaten(error)
      throw error
    }
  }

  /** Takes back the bytes that readers have seen. Bytes that were overwritten stay overwritten. */
  async #undo(): Promise<void> {
    const { shown, hasChanged } = this.#record
    if (!hasChanged || shown === null) return
    if (this.base === null) {
      await this.#record.discard()
      return
    }
    const pieces = piecesOf(shown.content.extents, shown.inline)
    await this.#show(slicePieces(pieces, 0, this.base.size), this.base)
  }

  /**
   * Runs the changes of the record one after the other, because the timer may fire while a method
   * of the caller runs.
   */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#work
    const run = (async () => {
      await before
      return work()
    })()
    this.#work = run.catch(() => undefined)
    return run
  }

  /**
   * Makes the error for a write that another writer has overtaken: `ERR_INTERRUPTED` if readers
   * have seen its bytes, otherwise `ERR_CONFLICT`.
   */
  #beaten(cause: Error): UploadError {
    return this.#record.hasChanged ? overtaken(cause) : conflict(cause)
  }

  #assertActive(): void {
    if (this.#isEnded) throw new Error('the writer has ended')
    if (this.#isLost) throw new Error('this process has lost the lock of the resource')
  }

  async #end(): Promise<void> {
    this.#isEnded = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    await this.#work
    await this.#content.end()
  }
}
