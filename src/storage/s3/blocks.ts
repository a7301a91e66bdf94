/** Holds the bytes of one writer that are not yet in the object store, and stores them in data objects. */
import { repeat } from './attempts.ts'
import type { S3Context } from './context.ts'
import { lengthOf, newBlock } from './pieces.ts'
import type { Block, BlockPiece, Piece } from './pieces.ts'
import { readPieces } from './read.ts'

/**
 * Smallest data object that is stored early to free memory, in bytes. Smaller ones would free little memory for the
 * cost of a request.
 */
const MIN_SPILL = 256 * 1024

/** Gathers bytes in blocks, and stores each full block in the background. */
export class Blocks {
  readonly #context: S3Context
  readonly #folder: string
  #open: Block = newBlock()
  readonly #storing = new Map<Block, Promise<void>>()
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
   * Waits until another write may begin: fewer than `concurrency` requests are in flight, and the process is within
   * its memory budget or this writer has no request in flight that would free memory.
   *
   * @throws UploadError when a block could not be stored. The block stays in memory, and a later call stores it.
   */
  async room(): Promise<void> {
    const { budget, limits } = this.#context
    if (budget.isExceeded && this.#open.length >= Math.min(MIN_SPILL, limits.partSize))
      void this.#store(this.#open)
    const isFull = (): boolean =>
      this.#storing.size >= limits.concurrency || (budget.isExceeded && this.#storing.size > 0)
    while (isFull()) await Promise.race(this.#storing.values())
  }

  /** Stores all blocks of the pieces. Does nothing if they fit inline in a record: `maxInline` bytes or fewer. */
  async store(pieces: readonly Piece[]): Promise<void> {
    const unstored = pieces.filter((piece) => piece.kind === 'block' && piece.block.stored === null)
    if (lengthOf(unstored) <= this.#context.limits.maxInline) return
    const blocks = new Set<Block>()
    for (const piece of unstored) if (piece.kind === 'block') blocks.add(piece.block)
    await Promise.all([...blocks].map((block) => this.#store(block)))
  }

  /**
   * Merges small data objects at the end into one of `partSize` bytes or more, so that an upload in many segments
   * has a short record. Each byte is copied once. The sweep deletes the small objects, because a record names them
   * until the next one is written.
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

  /** Waits for the requests in flight. A block that could not be stored stays in memory. */
  async drain(): Promise<void> {
    await Promise.allSettled(this.#storing.values())
  }

  /** Waits for the requests in flight and frees the memory. */
  async end(): Promise<void> {
    await this.drain()
    for (const block of this.#inMemory) this.#context.budget.free(block.length)
    this.#inMemory.clear()
  }

  #store(block: Block): Promise<void> {
    block.isSealed = true
    const running = this.#storing.get(block)
    if (running !== undefined) return running
    const storing = this.#put(block).finally(() => this.#storing.delete(block))
    // The next call that waits for this promise reports its failure. Until then the failure must not end the
    // process as an unhandled rejection.
    storing.catch(() => undefined)
    this.#storing.set(block, storing)
    return storing
  }

  #newName(): string {
    return this.#context.layout.data(this.#folder, crypto.randomUUID())
  }

  async #put(block: Block): Promise<void> {
    if (block.stored !== null) return
    const name = this.#newName()
    await repeat(() => this.#context.bucket.put(name, block.chunks))
    block.stored = name
    block.chunks.length = 0
    if (this.#inMemory.delete(block)) this.#context.budget.free(block.length)
  }
}
