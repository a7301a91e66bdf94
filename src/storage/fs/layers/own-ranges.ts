/**
 * The ranges that a writer has written into its layer so far, and the positions of their bytes in
 * the layer file.
 */

import { createIndex } from './layer-index.ts'
import type { LayerIndex, Range } from './layer-index.ts'

/**
 * Records the writes and truncations of one writer. At the commit they become the index of the
 * layer.
 */
export class OwnRanges {
  /** Number of bytes of the version below that still count, from its start. */
  keep: number
  /** Size of the version with the changes, in bytes. */
  size: number
  /** The ranges, sorted and without overlaps. */
  #ranges: Range[] = []

  /** @param size number of bytes of the version below */
  constructor(size: number) {
    this.keep = size
    this.size = size
  }

  /** Number of ranges. */
  get count(): number {
    return this.#ranges.length
  }

  /**
   * Replaces `length` bytes of the version, from `start` on, by those at position `at` of the layer
   * file. Ranges that overlap are cut, and those that are covered are dropped; their bytes stay in
   * the layer file unused.
   */
  write(start: number, length: number, at: number): void {
    const end = start + length
    const ranges = this.#ranges
    const first = this.#firstEndingAfter(start)
    let next = first
    while (next < ranges.length && (ranges[next]?.start ?? end) < end) next += 1
    const parts: Range[] = []
    const left = ranges[first]
    if (first < next && left !== undefined && left.start < start) {
      parts.push({ ...left, end: start })
    }
    parts.push({ start, end, at })
    const right = ranges[next - 1]
    if (first < next && right !== undefined && right.end > end) {
      parts.push({ start: end, end: right.end, at: right.at + end - right.start })
    }
    ranges.splice(first, next - first, ...parts)
    this.#joinBefore(parts.length > 1 && parts[0]?.end === start ? first + 1 : first)
    this.size = Math.max(this.size, end)
  }

  /**
   * Truncates the version to `size` bytes. Bytes of the version below beyond `size` never count
   * again, even if later writes make the version longer.
   */
  truncate(size: number): void {
    this.keep = Math.min(this.keep, size)
    this.size = size
    this.#ranges = this.#ranges
      .filter(({ start }) => start < size)
      .map((range) => ({ ...range, end: Math.min(range.end, size) }))
  }

  /** Returns the index of a layer file with `dataLength` bytes of data. */
  toIndex(dataLength: number): LayerIndex {
    return createIndex(dataLength, this.keep, this.size, this.#ranges)
  }

  /** Returns the number of the first range that ends after `position`, by binary search. */
  #firstEndingAfter(position: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((this.#ranges[middle]?.end ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * Joins a range with the one before it if both are adjacent in the version and in the file, as
   * after an upload that writes chunk by chunk. The index then has one range instead of thousands.
   */
  #joinBefore(index: number): void {
    const [before, range] = [this.#ranges[index - 1], this.#ranges[index]]
    if (before === undefined || range === undefined || before.end !== range.start) return
    if (before.at + before.end - before.start !== range.at) return
    this.#ranges.splice(index - 1, 2, { ...before, end: range.end })
  }
}
