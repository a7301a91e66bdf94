/** Number of bytes that one request carries. */
import type { UploadOptions } from './options.ts'
import type { ByteSource } from './source/byte-source.ts'

/** Longest last segment if it carries the digest of the whole, which then delays only few bytes. */
const LAST_SEGMENT = 1024 * 1024
/**
 * Size of segments that are held in memory, and of the first smaller segment after a proxy has refused a
 * larger one. Many proxies accept less: each further refusal halves it.
 */
const USUAL_SEGMENT = 8 * 1024 * 1024

/** The size of segments, which falls when the server or a proxy accepts less. */
export interface SegmentSizes {
  /** One past the last byte of the segment from `start`. */
  readonly endAfter: (start: number, hasDigest: boolean) => number
  /** Limits the segments for the rest of the upload. */
  readonly shrink: (size: number) => void
  /**
   * Records that `size` bytes were too many. `named` is the limit in the server's answer, NaN if it has
   * none. Returns false if no smaller segment is left to try.
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
      // A limit that this segment has kept is not the one that it exceeded.
      shrink(named < size ? named : size / 2)
      return limit > 0
    },
  }
}
