/**
 * Holds the bytes of one writer that are not in the object store yet, and stores them in data
 * objects.
 */
import { repeat } from './attempts.ts'
import type { S3Context } from './context.ts'
import { lengthOf, newBlock } from './pieces.ts'
import type { Block, BlockPiece, Piece } from './pieces.ts'
import { readPieces } from './read.ts'

/**
 * Smallest data object that is stored early to free memory, in bytes. A smaller one would free
 * little memory for the cost of a request.
 */
const MIN_SPILL = 256 * 1024

/** Gathers bytes in blocks, and stores each full block in the background. */
export class Blocks {
  readonly #context: S3Context
  readonly #folder: string
  /** The block to which the next bytes are appended. */
  #open: Block = newBlock()
  /** The blocks that are being stored. */
  readonly #storing = new Map<Block, Promise<void>>()
  /** The blocks whose bytes count in the memory budget. */
  readonly #inMemory = new Set<Block>()

  constructor(context: S3Context, folder: string) {
    this.#context = context
    this.#folder = folder
  }

  /** Copies `bytes` into blocks, and returns them as pieces. */
  append(bytes: Uint8Array): readonly BlockPiece[] {
    const { partSize } = this.#context.limits
    const pieces: BlockPiece[] = []
    for (let at = 0; at < bytes.length;) {
      if (this.#open.isSealed) this.#open = newBlock()
      const block = this.#open
      const length = Math.min(bytes.length - at, partSize - block.length)
      block.chunks.push(bytes.slice(at, at + length))
      pieces.push({ kind: 'block', block, offset: block.length, length })
      block.length += length
      at += length
      this.#inMemory.add(block)
      this.#context.budget.add(length)
      if (block.length === partSize) void this.#store(block)
    }
    return pieces
  }

  /**
   * Waits until the next write may begin, which makes a fast client wait for the store: until fewer
   * than `concurrency` requests are in progress, and the process is within its memory budget or no
   * request of this writer could free memory.
   */
  async room(): Promise<void> {
    const { budget, limits } = this.#context
    if (budget.isExceeded && this.#open.length >= Math.min(MIN_SPILL, limits.partSize))
      void this.#store(this.#open)
    const isFull = (): boolean =>
      this.#storing.size >= limits.concurrency || (budget.isExceeded && this.#storing.size > 0)
    while (isFull()) await Promise.race(this.#storing.values())
  }

  /**
   * Stores all blocks of the pieces. Does nothing if they have at most `maxInline` bytes, which a
   * record holds inline.
   */
  async store(pieces: readonly Piece[]): Promise<void> {
    const unstored = pieces.filter((piece) => piece.kind === 'block' && piece.block.stored === null)
    if (lengthOf(unstored) <= this.#context.limits.maxInline) return
    const blocks = new Set<Block>()
    for (const piece of unstored) if (piece.kind === 'block') blocks.add(piece.block)
    await Promise.all([...blocks].map((block) => this.#store(block)))
  }

  /**
   * Merges the small data objects at the end into one of `partSize` bytes or more, so that the
   * record of an upload in many segments stays short. Each byte is copied once. The small objects
   * are left to the sweep, because the record names them until it is replaced.
   */
  async merged(pieces: readonly Piece[], object: string): Promise<readonly Piece[]> {
    const { partSize } = this.#context.limits
    const isSmall = (piece: Piece | undefined): boolean =>
      piece?.kind === 'data' && piece.length < partSize
    const end = pieces.findLastIndex(({ kind }) => kind !== 'block') + 1
    let start = end
    while (isSmall(pieces[start - 1])) start -= 1
    const small = pieces.slice(start, end)
    const length = lengthOf(small)
    if (small.length < 2 || length < partSize) return pieces
    const chunks: Uint8Array[] = []
    for await (const chunk of readPieces(this.#context, object, small)) chunks.push(chunk)
    const name = this.#newName()
    await repeat(() => this.#context.bucket.put(name, chunks))
    return [
      ...pieces.slice(0, start),
      { kind: 'data', name, offset: 0, length },
      ...pieces.slice(end),
    ]
  }

  /** Waits for the requests in progress. A block that could not be stored stays in memory. */
  async drain(): Promise<void> {
    await Promise.allSettled(this.#storing.values())
  }

  /** Waits for the requests in progress, and frees the memory. */
  async end(): Promise<void> {
    await this.drain()
    for (const block of this.#inMemory) this.#context.budget.free(block.length)
    this.#inMemory.clear()
  }

  /** Stores a block, or waits for the request that already stores it. */
  #store(block: Block): Promise<void> {
    block.isSealed = true
    const running = this.#storing.get(block)
    if (running !== undefined) return running
    const storing = this.#put(block).finally(() => this.#storing.delete(block))
    // The next call that waits for this promise reports the failure. Without this handler the
    // failure would end the process as an unhandled rejection before that.
    storing.catch(() => undefined)
    this.#storing.set(block, storing)
    return storing
  }

  #newName(): string {
    return this.#context.layout.data(this.#folder, crypto.randomUUID())
  }

  /** Writes a block to a new data object, and frees its memory. */
  async #put(block: Block): Promise<void> {
    if (block.stored !== null) return
    const name = this.#newName()
    await repeat(() => this.#context.bucket.put(name, block.chunks))
    block.stored = name
    block.chunks.length = 0
    if (this.#inMemory.delete(block)) this.#context.budget.free(block.length)
  }
}
