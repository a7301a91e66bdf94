/** Changes one resource: gathers the bytes, records those of an upload, and publishes the finished version. */
import type {
  OpenWriterOptions,
  ResourceInfo,
  ResourceState,
  Transaction,
  Writer,
} from '../adapter.ts'
import { UploadError } from '../../errors.ts'
import { conflict, overtaken } from '../conflict.ts'
import { copyState } from '../state.ts'
import { Blocks } from './blocks.ts'
import type { S3Context } from './context.ts'
import { deleteLater } from './garbage.ts'
import { infoOf } from './object-version.ts'
import {
  appendPieces,
  leadingStored,
  lengthOf,
  overwrite,
  piecesOf,
  recorded,
  slicePieces,
  withStored,
} from './pieces.ts'
import type { Piece } from './pieces.ts'
import { publish } from './publish.ts'
import { VanishedError, readPieces } from './read.ts'
import { RecordLostError } from './record-store.ts'
import { viewAfterPublication } from './await-publication.ts'
import { UploadRecord } from './upload-record.ts'
import type { View } from './view.ts'

/**
 * Opens a writer. Changes nothing, except that a publication which another process has left is ended first.
 *
 * @throws UploadError `ERR_CONFLICT` while other writers publish one version after the other.
 */
export async function openWriter(
  context: S3Context,
  key: string,
  options: OpenWriterOptions,
): Promise<Writer> {
  const view = await viewAfterPublication(context, key, context.limits.publicationTimeout)
  return new S3Writer(context, key, options, view)
}

class S3Writer implements Writer {
  readonly base: ResourceInfo | null
  readonly transaction: Transaction
  readonly #context: S3Context
  readonly #key: string
  readonly #name: string
  readonly #options: OpenWriterOptions
  readonly #view: View
  readonly #record: UploadRecord
  readonly #blocks: Blocks
  #pieces: Piece[]
  #size: number
  /** Whether the record lacks bytes or a change of this writer. */
  #isBehind = false
  #timer: NodeJS.Timeout | null = null
  /** The change of the record that is under way. */
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
    this.#blocks = new Blocks(context, this.#record.folder)
    this.#pieces =
      options.replace || current === null ? [] : [...piecesOf(current.extents, current.inline)]
    this.#size = lengthOf(this.#pieces)
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertActive()
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (length === 0) return
    if (this.transaction === 'persist' && position > this.#size) {
      throw new RangeError(`position ${position} is beyond the end`)
    }
    const inserted = chunks.flatMap((chunk) => this.#blocks.append(chunk))
    if (position === this.#size) appendPieces(this.#pieces, inserted)
    else this.#pieces = [...overwrite(this.#pieces, position, inserted)]
    this.#size = Math.max(this.#size, position + length)
    this.#isBehind = true
    this.#schedule()
    await this.#blocks.room()
  }

  async flush(): Promise<void> {
    this.#assertActive()
    if (this.transaction === 'persist') await this.#exclusive(() => this.#recordAll())
  }

  async truncate(size: number): Promise<void> {
    this.#assertActive()
    const isPersist = this.transaction === 'persist'
    const least = isPersist ? (this.base?.size ?? 0) : 0
    if (size < least || size > this.#size) throw new RangeError(`size ${size} is out of range`)
    if (size === this.#size) return
    this.#pieces = [...slicePieces(this.#pieces, 0, size)]
    this.#size = size
    this.#isBehind = true
    if (isPersist) await this.#exclusive(() => this.#recordAll())
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readPieces(this.#context, this.#name, slicePieces(this.#pieces, start, end))
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

  /** Records the bytes of a persist write after `flushAfter`, because a slow client may send none for a long time. */
  #schedule(): void {
    if (this.transaction === 'atomic' || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (this.#isEnded || this.#isLost) return
      // The failure is not lost: the bytes stay unrecorded, and the next method of the writer tries and reports it.
      this.#exclusive(() => this.#recordProgress()).catch(() => undefined)
    }, this.#context.limits.flushAfter).unref()
  }

  /** Records the blocks that are stored. If there are no new ones, as with a slow client, it records all bytes. */
  async #recordProgress(): Promise<void> {
    if (!this.#isBehind) return
    const stored = leadingStored(this.#pieces)
    const size = lengthOf(stored)
    if (size > (this.#record.shown?.content.size ?? 0)) {
      await this.#show(stored, this.#openState())
      this.#isBehind = true
      this.#schedule()
    } else await this.#recordAll()
  }

  async #recordAll(): Promise<void> {
    if (this.#isBehind) await this.#show([...this.#pieces], this.#openState())
  }

  /** Records all bytes at the end of the write, when the caller writes no more. */
  async #recordMerged(state: ResourceState): Promise<ResourceInfo> {
    await this.#blocks.store(this.#pieces)
    const pieces = withStored(this.#pieces)
    // The merge only shortens the record, so that a failure of it does no harm.
    const merged = await this.#blocks.merged(pieces, this.#name).catch(() => pieces)
    return this.#show(merged, state)
  }

  /** The state of an upload that is not committed. */
  #openState(): ResourceState {
    return this.base ?? this.#options.initial
  }

  /** Makes `pieces` the current version, as an upload in the record. */
  async #show(pieces: readonly Piece[], state: ResourceState): Promise<ResourceInfo> {
    this.#isBehind = false
    try {
      await this.#blocks.store(pieces)
      const { extents, inline } = recorded(pieces)
      const content = { ...this.#nextVersion(state), size: lengthOf(pieces), extents }
      if (this.#isLost) throw conflict()
      await this.#record.show(content, inline)
      return infoOf(content)
    } catch (error) {
      this.#isBehind = true
      throw error instanceof RecordLostError ? this.#beaten(error) : error
    }
  }

  async #publish(state: ResourceState): Promise<ResourceInfo> {
    const version = { ...this.#nextVersion(state), size: this.#size }
    try {
      await this.#blocks.drain()
      await publish(this.#context, {
        key: this.#key,
        handle: this.#record.handle,
        view: this.#view,
        version,
        pieces: withStored(this.#pieces),
        shown: this.#record.shown,
        folder: this.#record.folder,
        removed: this.#record.removed,
      })
      deleteLater(this.#context, withStored(this.#pieces))
      return infoOf(version)
    } catch (error) {
      if (error instanceof RecordLostError || error instanceof VanishedError)
        throw this.#beaten(error)
      throw error
    }
  }

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

  #nextVersion(state: ResourceState) {
    // The clock of this process may be behind that of the process that wrote the base.
    const time = Math.max(Date.now(), this.base?.lastModified.getTime() ?? 0)
    return { version: crypto.randomUUID(), state: copyState(state), time }
  }

  /** Runs one change of the record at a time, because the timer may fire while a method of the caller runs. */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#work
    const run = (async () => {
      await before
      return work()
    })()
    this.#work = run.catch(() => undefined)
    return run
  }

  #beaten(cause: Error): UploadError {
    return this.#record.hasChanged ? overtaken(cause) : conflict(cause)
  }

  #assertActive(): void {
    if (this.#isEnded) throw new Error('the writer has ended')
    if (this.#isLost) throw new Error('another process has the lock')
  }

  async #end(): Promise<void> {
    this.#isEnded = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    await this.#work
    await this.#blocks.end()
  }
}

/** Whether an error says that another writer has changed the resource. */
function isRaceLost(error: unknown): boolean {
  if (error instanceof RecordLostError) return true
  return (
    error instanceof UploadError &&
    (error.code === 'ERR_CONFLICT' || error.code === 'ERR_INTERRUPTED')
  )
}
