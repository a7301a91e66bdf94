/**
 * A layer: a small file that changes a finished resource without copying it. The file of the
 * resource stays as it is, and readers apply the layers over it, the oldest first (`view.ts`).
 *
 * A layer file consists of data, an index and a trailer. The index contains the number of bytes of
 * the version below that still count (`keep`), the length of the new version (`size`), and the
 * ranges of the new version that the data replaces. One process writes a layer, which is not
 * changed any more after a record refers to it. The index has a checksum, because a wrong range
 * would put bytes at a wrong place without an error. The data has none, like the data of an
 * ordinary file.
 *
 *     data … | data length, keep, size, (start, end, at) … | magic, index length, crc32 of the index, 0
 */

import { crc32 } from 'node:zlib'

/**
 * Numbers per range: its start and its end (exclusive) in the version, and the position of its
 * bytes in the file.
 */
const PER_RANGE = 3
/** Numbers before the ranges: data length, keep and size. */
const HEAD_NUMBERS = 3
/** Bytes of one number, a float of 64 bits, which holds each safe integer exactly. */
const NUMBER_SIZE = 8

/**
 * "PUL1" in the byte order of the machine, like all numbers. A machine with the other byte order
 * does not find this value, and refuses the layer instead of reading wrong numbers.
 */
const MAGIC = 0x314c5550

/** Bytes of the trailer at the end of a layer file, which contains the length of the index. */
export const TRAILER_SIZE = 16

/** The changes that a layer makes to the version below it. */
export interface LayerIndex {
  /** Number of bytes of data in the layer file, before the index. */
  readonly dataLength: number
  /** Number of bytes of the version below that still count, from its start. */
  readonly keep: number
  /** Size of the new version in bytes. Bytes from `keep` on that no range replaces are zeros. */
  readonly size: number
  /** Three numbers (start, end, at) for each range. The ranges are sorted and do not overlap. */
  readonly ranges: Float64Array
}

/** Returns the number of ranges. */
export function rangeCount({ ranges }: LayerIndex): number {
  return ranges.length / PER_RANGE
}

/**
 * Returns one range: bytes `start` to `end` (exclusive) of the version are at position `at` of the
 * file.
 */
export function rangeAt({ ranges }: LayerIndex, index: number): Range {
  const [start = 0, end = 0, at = 0] = ranges.subarray(index * PER_RANGE, (index + 1) * PER_RANGE)
  return { start, end, at }
}

/** A range of a version, and the position of its bytes in a file. */
export interface Range {
  readonly start: number
  readonly end: number
  readonly at: number
}

/** Creates an index. `ranges` must be sorted and must not overlap. */
export function createIndex(
  dataLength: number,
  keep: number,
  size: number,
  ranges: readonly Range[],
): LayerIndex {
  const numbers = ranges.flatMap(({ start, end, at }) => [start, end, at])
  return { dataLength, keep, size, ranges: Float64Array.from(numbers) }
}

/** Formats the index and the trailer as the last bytes of a layer file. */
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

/**
 * Parses a trailer. Returns the length of the index before it and its checksum; null for any other
 * bytes.
 */
export function parseTrailer(bytes: Uint8Array): { length: number; crc: number } | null {
  if (bytes.length !== TRAILER_SIZE) return null
  const [magic, length = 0, crc = 0, reserved] = new Uint32Array(Uint8Array.from(bytes).buffer)
  const isTrailer = magic === MAGIC && reserved === 0 && length % NUMBER_SIZE === 0
  return isTrailer && length >= HEAD_NUMBERS * NUMBER_SIZE ? { length, crc } : null
}

/**
 * Parses the index of a layer file of `fileSize` bytes. Returns null if its checksum, a length or a
 * range is wrong.
 */
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

/**
 * Returns whether the ranges are sorted, do not overlap, and lie in the version and in the data.
 */
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
