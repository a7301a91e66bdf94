/**
 * A view: the list of the pieces of which a version consists. Each piece is a range of its file or
 * of one of its layers. The pieces are sorted, do not overlap, and cover the version.
 *
 * The numbers are kept in typed arrays, because a version that was patched ten thousand times has
 * as many pieces.
 */

import { rangeAt, rangeCount } from './layer-index.ts'
import type { LayerIndex, Range } from './layer-index.ts'

/** The source number of bytes that are zeros because no file contains them. */
export const ZEROS = -1
/**
 * The source number of the file below the layers. The layers are numbered from 1, the oldest first.
 */
export const BASE = 0

/** The pieces of a version. The three arrays have the same length. */
export interface View {
  /** Size of the version in bytes. */
  readonly size: number
  /**
   * The position in the version at which each piece begins, ascending. A piece ends where the next
   * one begins, and the last one at `size`.
   */
  readonly starts: Float64Array
  /** The source number of each piece: `ZEROS`, `BASE` or the number of a layer. */
  readonly sources: Int32Array
  /** The position in its source at which each piece begins; 0 for `ZEROS`. */
  readonly offsets: Float64Array
}

/** Returns the view of a file of `size` bytes without layers. */
export function baseView(size: number): View {
  const isEmpty = size === 0
  return {
    size,
    starts: new Float64Array(isEmpty ? 0 : 1),
    sources: new Int32Array(isEmpty ? 0 : 1),
    offsets: new Float64Array(isEmpty ? 0 : 1),
  }
}

/** Returns the view of a file of `size` bytes through `layers`, the oldest first. */
export function viewOf(size: number, layers: readonly LayerIndex[]): View {
  return layers.reduce((view, layer, index) => cover(view, layer, index + 1), baseView(size))
}

/**
 * Returns the view of the version that results when a layer, which gets the number `source`, is
 * applied to the version `below`.
 */
export function cover(below: View, layer: LayerIndex, source: number): View {
  const pieces = new Pieces(below.starts.length + 2 * rangeCount(layer) + 2)
  const keep = Math.min(layer.keep, below.size)
  let next = 0
  let position = 0

  /**
   * Adds the pieces from `position` to `end` that the layer does not replace: those of the version
   * below as far as they count, and then zeros.
   */
  function fill(end: number): void {
    for (; next < below.starts.length && position < Math.min(end, keep); next += 1) {
      const from = below.starts[next] ?? 0
      const until = Math.min(endOf(below, next), keep, end)
      if (until <= position) continue
      const offset = (below.offsets[next] ?? 0) + position - from
      pieces.add(position, below.sources[next] ?? ZEROS, offset)
      position = until
      if (until < endOf(below, next)) break
    }
    if (position < end) pieces.add(position, ZEROS, 0)
    position = Math.max(position, end)
  }

  for (let index = 0; index < rangeCount(layer); index += 1) {
    const { start, end, at } = rangeAt(layer, index)
    fill(start)
    pieces.add(start, source, at)
    position = end
  }
  fill(layer.size)
  return pieces.toView(layer.size)
}

/** Returns the position in the version at which a piece ends. */
function endOf({ starts, size }: View, piece: number): number {
  return starts[piece + 1] ?? size
}

/** Returns the index of the piece that contains the byte at `position`, by binary search. */
function pieceAt({ starts }: View, position: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((starts[middle] ?? 0) <= position) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * Yields the pieces between `start` and `end` (exclusive). The first and the last one are cut to
 * that range.
 */
export function* piecesIn(view: View, start: number, end: number): Generator<Piece> {
  if (start >= end) return
  for (let piece = pieceAt(view, start); piece < view.starts.length; piece += 1) {
    const from = view.starts[piece] ?? 0
    if (from >= end) return
    const first = Math.max(from, start)
    const source = view.sources[piece] ?? ZEROS
    const at = source === ZEROS ? 0 : (view.offsets[piece] ?? 0) + first - from
    yield { start: first, end: Math.min(endOf(view, piece), end), at, source }
  }
}

/** A range of a version, and the source number of the file with its bytes. */
export interface Piece extends Range {
  readonly source: number
}

/**
 * Collects the pieces of a view. Joins a piece with the one before if it continues it in the same
 * source.
 */
class Pieces {
  readonly #starts: Float64Array
  readonly #sources: Int32Array
  readonly #offsets: Float64Array
  #count = 0

  constructor(most: number) {
    this.#starts = new Float64Array(most)
    this.#sources = new Int32Array(most)
    this.#offsets = new Float64Array(most)
  }

  add(start: number, source: number, offset: number): void {
    if (this.#continues(start, source, offset)) return
    this.#starts[this.#count] = start
    this.#sources[this.#count] = source
    this.#offsets[this.#count] = offset
    this.#count += 1
  }

  #continues(start: number, source: number, offset: number): boolean {
    const last = this.#count - 1
    if (last < 0 || this.#sources[last] !== source) return false
    return (
      source === ZEROS || (this.#offsets[last] ?? 0) + start - (this.#starts[last] ?? 0) === offset
    )
  }

  toView(size: number): View {
    const [starts, offsets] = [this.#starts, this.#offsets].map((all) => all.slice(0, this.#count))
    const sources = this.#sources.slice(0, this.#count)
    return { size, starts: starts ?? this.#starts, sources, offsets: offsets ?? this.#offsets }
  }
}
