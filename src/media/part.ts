/**
 * Defines the events that the parsers of all patch formats produce, so that the protocol does not
 * know the formats.
 */

/**
 * The range of a part in the resource. Positions count bytes from the start of the resource; `end`
 * is exclusive. All numbers are safe integers.
 */
export type PartTarget =
  | {
      /** `Content-Range: bytes 5-9/20`: data for a range of known length. */
      readonly kind: 'range'
      /** First position written, ≥ 0. */
      readonly start: number
      /**
       * One past the last position written, ≥ `start`. Equal to `start` for `bytes 20-19/20`, which
       * has no data.
       */
      readonly end: number
      /** Length that the finished resource will have; null for `*`. Never less than `end`. */
      readonly completeLength: number | null
    }
  | {
      /** `Content-Range: bytes *\/20`: no data, only the length of the finished resource. */
      readonly kind: 'size'
      /** Length that the finished resource will have, ≥ 0. */
      readonly completeLength: number
      /**
       * Size that the resource must have, in bytes. Only a `Content-Offset` without data names it.
       */
      readonly start?: number
    }
  | {
      /** `Content-Offset: 5;complete-length=20`: data of unknown length. */
      readonly kind: 'open'
      /** First position written, ≥ 0. */
      readonly start: number
      /**
       * Length that the finished resource will have; null if it is not given. Never less than
       * `start`.
       */
      readonly completeLength: number | null
    }

/** The header of one part. All of its fields have been validated. */
export interface Part {
  /** Position of the part in its patch, from 0; null in a format that has a single part. */
  readonly index: number | null
  /** The range to which the data is written. */
  readonly target: PartTarget
  /**
   * The `Content-Type` in the header of the part, as it was sent; null if absent. It describes the
   * whole resource.
   */
  readonly contentType: string | null
  /** The `Content-Disposition`, as it was sent; null if absent. It names the whole resource. */
  readonly contentDisposition: string | null
  /**
   * The `Content-Digest` (RFC 9530), as it was sent; null if absent. It covers the data of this
   * part.
   */
  readonly contentDigest: string | null
  /**
   * The verifiable digests of `Repr-Digest` (RFC 9530), as one field; null if none. They cover the
   * whole resource.
   */
  readonly reprDigest: string | null
}

/**
 * One step of a patch document: the header of a part, or some of its data. The `data` of a part
 * follows its `part`; an empty part has none. When the next `part` or the end is reached, the
 * parser has checked that the data had the length of the range.
 */
export type PartEvent =
  | { readonly type: 'part'; readonly part: Part }
  | { readonly type: 'data'; readonly bytes: Uint8Array }

/** The limits of a parser. Sizes are in bytes. */
export interface PartLimits {
  /** Largest number of parts in one patch, 1 or more. Beyond it: 400 `ERR_PATCH_LIMIT`. */
  readonly maxParts: number
  /** Largest header block of one part, without its blank line. Beyond it: 400 `ERR_PATCH_LIMIT`. */
  readonly maxPartHeaderSize: number
  /** Largest size of the resource. A range or a complete length beyond it: 400 `ERR_SIZE_LIMIT`. */
  readonly maxSize: number
}

/**
 * A state machine without I/O that turns the bytes of a patch document into events.
 *
 * The parts, their data and the error do not depend on how the document is cut into chunks. The
 * bytes of a `data` event are a view of the chunk, valid until the caller reuses it, or a copy of a
 * few bytes that were held back at the end of an earlier chunk because they could have begun a
 * delimiter.
 */
export interface PartParser {
  /**
   * Parses the next chunk, and returns the events that it completes.
   *
   * @throws UploadError for a malformed document. The parser can't be used after an error.
   */
  write(chunk: Uint8Array): readonly PartEvent[]
  /**
   * Ends the document, and returns its last events. Called once, after the end of the content.
   *
   * @throws UploadError if the document is not finished.
   */
  end(): readonly PartEvent[]
}
