/**
 * The content of the version that one writer makes: its pieces in the object store and in memory,
 * and the requests in the background that store them and merge them.
 */
import { Blocks } from './blocks.ts'
import type { S3Context } from './context.ts'
import { Merges } from './merge.ts'
import { appendPieces, lengthOf, overwrite, slicePieces, withStored } from './pieces.ts'
import type { Piece } from './pieces.ts'

/** The content of one version while it is written. */
export class WrittenContent {
  readonly #blocks: Blocks
  readonly #merges: Merges
  readonly #object: string
  #pieces: Piece[]
  #size: number

  /**
   * @param object name of the finished object, which pieces may refer to
   * @param folder folder of the new data objects
   */
  constructor(context: S3Context, object: string, folder: string, pieces: readonly Piece[]) {
    this.#blocks = new Blocks(context, folder)
    this.#merges = new Merges(context, object, folder)
    this.#object = object
    this.#pieces = [...pieces]
    this.#size = lengthOf(pieces)
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size
  }

  /** The pieces now. Later writes may change the list. */
  get pieces(): readonly Piece[] {
    return this.#pieces
  }

  /** Copies bytes into the content at `position`. Zeros fill a gap before it. */
  write(position: number, chunks: readonly Uint8Array[]): void {
    const inserted = chunks.flatMap((chunk) => this.#blocks.append(chunk))
    if (position === this.#size) appendPieces(this.#pieces, inserted)
    else this.#pieces = [...overwrite(this.#pieces, position, inserted)]
    this.#size = Math.max(this.#size, position + lengthOf(inserted))
    this.#shorten()
  }

  /** Waits until the next write may begin, which makes a fast client wait for the store. */
  async room(): Promise<void> {
    await this.#merges.room(this.#pieces)
    await this.#blocks.room()
  }

  /** Removes the bytes from `size` on. */
  truncate(size: number): void {
    this.#pieces = [...slicePieces(this.#pieces, 0, size)]
    this.#size = size
  }

  /** Stores the bytes of `pieces` that are in memory, unless a record can hold them inline. */
  store(pieces: readonly Piece[]): Promise<void> {
    return this.#blocks.store(pieces)
  }

  /** Stores all bytes at the end of a write, and merges small data objects at the end. */
  async storeMerged(): Promise<void> {
    await this.#blocks.store(this.#pieces)
    this.#shorten()
    const pieces = withStored(this.#pieces)
    // A failed merge does no harm, because it would only have shortened the record.
    const merged = await this.#blocks.merged(pieces, this.#object).catch(() => pieces)
    this.#pieces = [...merged]
  }

  /** Waits for the merge in progress. Returns whether it has shortened the list of pieces. */
  async settleMerge(): Promise<boolean> {
    await this.#merges.settle()
    return this.#shorten()
  }

  /**
   * Returns the merged pieces whose data objects can be deleted, because `current`, the version
   * that readers see now, does not refer to them.
   */
  takeReplaced(current: readonly Piece[]): readonly Piece[] {
    return this.#merges.takeReplaced(current)
  }

  /** Waits for the requests in progress. Bytes that could not be stored stay in memory. */
  drain(): Promise<void> {
    return this.#blocks.drain()
  }

  /** Waits for the requests in progress, and frees the memory. */
  end(): Promise<void> {
    return this.#blocks.end()
  }

  /** Applies the last merge, and begins the next one if the list is long. */
  #shorten(): boolean {
    const shorter = this.#merges.advance(this.#pieces)
    if (shorter !== null) this.#pieces = [...shorter]
    return shorter !== null
  }
}
