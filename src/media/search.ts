/**
 * Searches bytes for a multipart delimiter: Horspool's algorithm with a bound on its worst case.
 */

/**
 * A delimiter, prepared for searching. It begins with CR and has no other CR, on which the search
 * relies.
 */
export interface Needle {
  /** The bytes to search for, at most 255. */
  readonly bytes: Uint8Array
  /**
   * For each byte value, the distance that a window ending in it may move; 0 for the last byte of
   * the needle.
   */
  readonly skips: Uint8Array
  /** Distance that a window ending in the last byte of the needle may move if it does not match. */
  readonly lastSkip: number
}

const CR = 0x0d

/** Prepares the delimiter of a boundary, `CRLF "--" boundary` (RFC 2046 §5.1.1). */
export function createNeedle(boundary: string): Needle {
  const bytes = new TextEncoder().encode(`\r\n--${boundary}`)
  const last = bytes.length - 1
  const skips = new Uint8Array(256).fill(bytes.length)
  for (let index = 0; index < last; index++) skips[bytes[index]!] = last - index
  const lastSkip = skips[bytes[last]!]!
  skips[bytes[last]!] = 0
  return { bytes, skips, lastSkip }
}

/**
 * Returns the first position from `start` on at which the whole needle is in the chunk; -1 if there
 * is none.
 *
 * A candidate is compared from its first byte on. That byte has to be CR, and no other byte of a
 * needle is one, so that no byte of the chunk is compared for two candidates: the time is linear
 * for any input. Horspool's algorithm compares from the last byte, and takes quadratic time for
 * some inputs.
 */
export function indexOf(chunk: Uint8Array, needle: Needle, start: number): number {
  const { bytes, skips, lastSkip } = needle
  const { length } = chunk
  const last = bytes.length - 1
  let end = start + last
  while (end < length) {
    const skip = skips[chunk[end]!]!
    if (skip !== 0) {
      end += skip
      continue
    }
    const at = end - last
    if (chunk[at] === CR && matchLength(chunk, needle, at) === bytes.length) return at
    end += lastSkip
  }
  return -1
}

/**
 * Returns the number of bytes at the end of the chunk, from `start` on, with which the needle
 * begins; 0 if none. The caller holds them back, because the next chunk decides whether they are
 * data.
 */
export function partialLength(chunk: Uint8Array, needle: Needle, start: number): number {
  const stop = Math.max(start, chunk.length - needle.bytes.length + 1)
  let first = chunk.length - 1
  while (first >= stop && chunk[first] !== CR) first--
  const length = chunk.length - first
  return first >= stop && matchLength(chunk, needle, first) === length ? length : 0
}

/**
 * Returns the number of bytes of the needle, from its byte `from` on, that match the chunk at `at`.
 */
export function matchLength(chunk: Uint8Array, needle: Needle, at: number, from = 0): number {
  const { bytes } = needle
  const limit = Math.min(bytes.length - from, chunk.length - at)
  let length = 0
  while (length < limit && chunk[at + length] === bytes[from + length]) length++
  return length
}
