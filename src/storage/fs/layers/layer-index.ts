/**
 * A layer: a small file that changes a finished resource without copying it. The file of the resource stays
 * as it is, and readers see it through its layers, the oldest first (`view.ts`).
 *
 * A layer file has data, an index and a trailer. The index says which bytes of the version below still
 * count, how long the version is, and which ranges of it the data replaces. A layer is written by one process
 * and never changes after a record refers to it. Its index has a checksum, because a wrong range would put
 * bytes at a wrong place without an error; the data has none, as that of a data file.
 *
 *     data … | data length, keep, size, (start, end, at) … | magic, index length, crc32 of the index, 0
 */

import { crc32 } from 'node:zlib'

/** Three numbers for each range: the half-open range of the version, and where in the file its bytes begin. */
const PER_RANGE = 3
const HEAD_NUMBERS = 3
const NUMBER_SIZE = 8

/**
 * "PUL1" in the byte order of the machine, as are all numbers: a machine with the other order refuses the
 * layer instead of reading it wrongly.
 */
const MAGIC = 0x314c5550

/** Bytes at the end of a layer file, which give the length of the index. */
export const TRAILER_SIZE = 16

/** What a layer does to the version below it. */
export interface LayerIndex {
  /** Bytes of data in the layer file, before the index. */
  readonly dataLength: number
  /** Number of bytes of the version below that count. */
  readonly keep: number
  /** Size of the version in bytes. Bytes beyond `keep` that no range replaces are zeros. */
  readonly size: number
  /** (start, end, at) for each range, sorted and without overlaps. */
  readonly ranges: Float64Array
}

/** Returns the number of ranges. */
export function rangeCount({ ranges }: LayerIndex): number {
  return ranges.length / PER_RANGE
}

/** Returns one range: bytes `start` to `end` (exclusive) of the version are at `at` in the file. */
export function rangeAt({ ranges }: LayerIndex, index: number): Range {
  const [start = 0, end = 0, at = 0] = ranges.subarray(index * PER_RANGE, (index + 1) * PER_RANGE)
  return { start, end, at }
}

/** A range of a version, and where in a file its bytes are. */
export interface Range {
  readonly start: number
  readonly end: number
  readonly at: number
}

/** Makes an index of ranges that are sorted and do not overlap. */
export function createIndex(
  dataLength: number,
  keep: number,
  size: number,
  ranges: readonly Range[],
): LayerIndex {
  const numbers = ranges.flatMap(({ start, end, at }) => [start, end, at])
  return { dataLength, keep, size, ranges: Float64Array.from(numbers) }
}

/** Formats the index and the trailer. */
export function formatIndex({ dataLength, keep, size, ranges }: LayerIndex): Uint8Array {
  const numbers = new Float64Array(HEAD_NUMBERS + ranges.length)
  numbers.set([dataLength, keep, size])
  numbers.set(ranges, HEAD_NUMBERS)
  const index = new Uint8Array(numbers.buffer)
  const trailer = Uint32Array.of(MAGIC, index.length, crc32(index), 0)
  const bytes = new Uint8Array(index.length + TRAILER_SIZE)
  bytes.set(index)
  bytes.set(new Uint8Array(trailer.buffer), index.length)
  return bytes
}

/** Parses a trailer: the length of the index before it, and its checksum; null for any other bytes. */
export function parseTrailer(bytes: Uint8Array): { length: number; crc: number } | null {
  if (bytes.length !== TRAILER_SIZE) return null
  const [magic, length = 0, crc = 0, reserved] = new Uint32Array(Uint8Array.from(bytes).buffer)
  const isTrailer = magic === MAGIC && reserved === 0 && length % NUMBER_SIZE === 0
  return isTrailer && length >= HEAD_NUMBERS * NUMBER_SIZE ? { length, crc } : null
}

/** Parses the index of a layer file of `fileSize` bytes; null if it is damaged. */
export function parseIndex(bytes: Uint8Array, crc: number, fileSize: number): LayerIndex | null {
  if (crc32(bytes) !== crc) return null
  const numbers = new Float64Array(Uint8Array.from(bytes).buffer)
  const [dataLength = NaN, keep = NaN, size = NaN] = numbers
  const ranges = numbers.subarray(HEAD_NUMBERS)
  if (dataLength + bytes.length + TRAILER_SIZE !== fileSize) return null
  if (ranges.length % PER_RANGE !== 0 || !(keep >= 0 && keep <= size)) return null
  const index = { dataLength, keep, size, ranges }
  return areSound(index) ? index : null
}

function areSound(index: LayerIndex): boolean {
  let last = 0
  for (let number = 0; number < rangeCount(index); number += 1) {
    const { start, end, at } = rangeAt(index, number)
    if (!(start >= last && end > start && end <= index.size)) return false
    if (!(at >= 0 && at + (end - start) <= index.dataLength)) return false
    last = end
  }
  return true
}
