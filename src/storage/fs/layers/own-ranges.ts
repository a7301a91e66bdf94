/** The ranges that a writer has put into its layer so far, and where in the layer file their bytes are. */

import { createIndex } from './layer-index.ts'
import type { LayerIndex, Range } from './layer-index.ts'

/** Grows with each write and each truncation, until it becomes the index of the layer. */
export class OwnRanges {
  /** Bytes of the version below that count. */
  keep: number
  /** Size of the version with the changes. */
  size: number
  /** Sorted and without overlaps. */
  #ranges: Range[] = []

  /** Begins without a change of a version of `size` bytes. */
  constructor(size: number) {
    this.keep = size
    this.size = size
  }

  /** The number of ranges. */
  get count(): number {
    return this.#ranges.length
  }

  /** Replaces `length` bytes from `start` on by those at `at` in the layer file. */
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

  /** Cuts the version to `size` bytes. */
  truncate(size: number): void {
    this.keep = Math.min(this.keep, size)
    this.size = size
    this.#ranges = this.#ranges
      .filter(({ start }) => start < size)
      .map((range) => ({ ...range, end: Math.min(range.end, size) }))
  }

  /** The index of a layer file with `dataLength` bytes of data. */
  toIndex(dataLength: number): LayerIndex {
    return createIndex(dataLength, this.keep, this.size, this.#ranges)
  }

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

  /** Joins a range with the one before it, if it continues that one in the version and in the file. */
  #joinBefore(index: number): void {
    const [before, range] = [this.#ranges[index - 1], this.#ranges[index]]
    if (before === undefined || range === undefined || before.end !== range.start) return
    if (before.at + before.end - before.start !== range.at) return
    this.#ranges.splice(index - 1, 2, { ...before, end: range.end })
  }
}
