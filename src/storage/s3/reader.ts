/** Reads one version of a resource, while other writers may replace or publish it. */
import type { OpenReaderOptions, Reader, ResourceInfo } from '../adapter.ts'
import { isBucketError } from './attempts.ts'
import type { RequestOptions } from './bucket.ts'
import type { S3Context } from './context.ts'
import { piecesOf, slicePieces } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { Pin } from './pins.ts'
import { conflict } from '../conflict.ts'
import { VanishedError, readPieces } from './read.ts'
import { extentsOf, viewKey } from './view.ts'
import type { CurrentVersion, View } from './view.ts'

/**
 * Largest number of times that a reader looks for its bytes at a new place without reading one in
 * between.
 */
const MAX_MOVES = 5

/** Opens the current version; null if the resource is absent. */
export function openReader(
  context: S3Context,
  key: string,
  options: OpenReaderOptions = {},
): Promise<Reader | null> {
  const name = context.layout.object(key)
  return context.pins.open(name, async () => {
    const view = await viewKey(context, key)
    return view.current === null ? null : new S3Reader(context, key, view.current, view, options)
  })
}

/**
 * Reads one version. A publication moves the version from data objects into the finished object,
 * and a replacement may copy that. When its bytes have vanished, the reader looks for the new place
 * and continues there.
 */
class S3Reader implements Reader {
  readonly info: ResourceInfo
  readonly #context: S3Context
  readonly #key: string
  readonly #name: string
  readonly #options: OpenReaderOptions
  /** Where the bytes of the version are stored. */
  #pieces: readonly Piece[]
  /** The pin on the finished object; null if the version has no bytes there. */
  #pin: Pin | null

  constructor(
    context: S3Context,
    key: string,
    current: CurrentVersion,
    view: View,
    options: OpenReaderOptions,
  ) {
    this.info = current.info
    this.#context = context
    this.#key = key
    this.#options = options
    this.#name = context.layout.object(key)
    this.#pieces = piecesOf(current.extents, current.inline)
    this.#pin = this.#pinned(view)
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    const signal = this.#options.signal?.()
    const options: RequestOptions = signal === undefined ? {} : { signal }
    let moves = 0
    for (let at = start; at < end;) {
      const pin = this.#pin
      const copy = pin?.copy ?? null
      try {
        const pieces = this.#range(at, end)
        for await (const chunk of readPieces(this.#context, this.#name, pieces, options)) {
          at += chunk.length
          moves = 0
          yield chunk
        }
        return
      } catch (error) {
        // The client has disconnected, so that no answer could report an error.
        if (isBucketError(error, 'aborted')) return
        moves += 1
        if (!(error instanceof VanishedError) || moves > MAX_MOVES) throw error
        const wasCopied = pin !== null && pin.copy !== copy
        if (!wasCopied && !(await this.#follow())) throw conflict(error)
      }
    }
  }

  async url(contentType: string): Promise<string | null> {
    const { bucket } = this.#context
    const [piece, ...more] = this.#pieces
    // The bytes of other versions are not in the finished object.
    if (bucket.presign === undefined || piece?.kind !== 'object' || more.length > 0) return null
    const { contentDisposition } = this.info
    const { versionId } = piece
    return bucket.presign(this.#name, { versionId, contentType, contentDisposition })
  }

  async close(): Promise<void> {
    if (this.#pin !== null) this.#context.pins.remove(this.#name, this.#pin)
    this.#pin = null
  }

  /**
   * Returns the pieces of bytes `start` to `end` (exclusive). If the object was copied, they refer
   * to the copy.
   */
  #range(start: number, end: number): readonly Piece[] {
    const copy = this.#pin?.copy ?? null
    const pieces = slicePieces(this.#pieces, start, end)
    if (copy === null) return pieces
    return pieces.map((piece) =>
      piece.kind === 'object'
        ? { kind: 'data', name: copy, offset: piece.offset, length: piece.length }
        : piece,
    )
  }

  /**
   * Looks for the new place of the version. Returns false if another version is the current one, so
   * that the bytes are lost.
   */
  #follow(): Promise<boolean> {
    return this.#context.pins.open(this.#name, async () => {
      const view = await viewKey(this.#context, this.#key)
      if (view.current?.info.etag !== this.info.etag) return false
      await this.close()
      this.#pieces = piecesOf(view.current.extents, view.current.inline)
      this.#pin = this.#pinned(view)
      return true
    })
  }

  /** Adds a pin if bytes of the version are in the finished object. */
  #pinned({ object }: View): Pin | null {
    if (object === null || !this.#pieces.some(({ kind }) => kind === 'object')) return null
    const [extent] = extentsOf(object)
    return extent?.kind === 'object' ? this.#context.pins.add(this.#name, extent) : null
  }
}
