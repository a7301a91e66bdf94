/**
 * Decides how many bytes one request carries.
 *
 * Without a limit one request carries all remaining bytes, because each further request costs a
 * round trip. Servers and proxies may limit the size of a request, and a proxy that buffers
 * requests loses all of one that is cut. Smaller segments help in both cases.
 */
import type { UploadOptions } from './options.ts'
import type { ByteSource } from './source/byte-source.ts'

/**
 * Longest last segment that carries a digest of the whole source, in bytes. The client computes the
 * digest while it sends the segments before, so that only the last one has to wait for it.
 */
const LAST_SEGMENT = 1024 * 1024
/**
 * Size of segments that are held in memory, in bytes. It is also the largest size after a request
 * was refused for its size. Many proxies accept less, so that each further refusal halves the size.
 */
const USUAL_SEGMENT = 8 * 1024 * 1024

/** The sizes of the segments of one upload. They only ever become smaller. */
export interface SegmentSizes {
  /**
   * Returns the position after the last byte of the segment that begins at `start`. It may lie
   * beyond the end of the source. `hasDigest` says whether the last segment carries a digest of the
   * whole.
   */
  readonly endAfter: (start: number, hasDigest: boolean) => number
  /** Limits the size of all further segments. */
  readonly shrink: (size: number) => void
  /**
   * Records that the server refused a segment of `size` bytes as too large. `named` is the limit
   * that its answer names, or NaN. Returns false if no smaller segment can be sent.
   */
  readonly refuse: (size: number, named: number) => boolean
}

/** Creates the sizes of one upload from its options. */
export function createSegmentSizes(
  source: ByteSource,
  { contentDigest, segmentSize = 0 }: UploadOptions,
): SegmentSizes {
  let limit = Math.ceil(segmentSize) || (source.once || contentDigest ? USUAL_SEGMENT : Infinity)

  function shrink(size: number): void {
    limit = Math.min(limit, Math.floor(size), USUAL_SEGMENT)
  }

  return {
    endAfter: (start, hasDigest) => {
      const last = hasDigest && !source.once ? (source.size ?? 0) - LAST_SEGMENT : 0
      return start < last ? Math.min(start + limit, last) : start + limit
    },
    shrink,
    refuse: (size, named) => {
      // An answer may name a limit that the segment has kept, such as the size of a whole file. The
      // limit that it exceeded is then unknown, and half the size is the next guess.
      shrink(named < size ? named : size / 2)
      return limit > 0
    },
  }
}
