/** How much one request carries. */
import type { UploadOptions } from './options.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The last segment is no longer than this if it carries the digest of the whole. */
const LAST_SEGMENT = 1024 * 1024
/**
 * Segments that are held in memory; also a guess after the first trouble on the way: proxies commonly
 * take less, and it is halved from there.
 */
const USUAL_SEGMENT = 8 * 1024 * 1024

/** The size of segments, which falls when something on the way takes less. */
export interface SegmentSizes {
  /** One past the last byte of the segment from `start`. */
  readonly endAfter: (start: number, hasDigest: boolean) => number
  /** Remembers for the rest of the upload what may get through. */
  readonly shrink: (size: number) => void
  /**
   * Takes note that `size` bytes were too many, and of the limit that the server has named, if any.
   * Returns false if nothing smaller is left to try.
   */
  readonly refuse: (size: number, limit: number) => boolean
}

/** Begins with what the caller wants. */
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
      // A limit that this segment kept to is not the one that was meant.
      shrink(named < size ? named : size / 2)
      return limit > 0
    },
  }
}
