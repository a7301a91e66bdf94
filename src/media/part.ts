/** The events that the parsers of all patch formats produce for the protocol. */

/** The range of a part in the resource. Positions are bytes from the start of the resource; `end` is exclusive. */
export type PartTarget =
  | {
      /** `Content-Range: bytes 5-9/20`: data for a range of known length. */
      readonly kind: 'range'
      /** First position written, ≥ 0. */
      readonly start: number
      /** One past the last position written, ≥ `start`; equal where nothing is left to send. */
      readonly end: number
      /** Length that the finished resource will have; null for `*`. Never less than `end`. */
      readonly completeLength: number | null
    }
  | {
      /** `Content-Range: bytes *\/20`: no data, only the length of the finished resource. */
      readonly kind: 'size'
      /** Length that the finished resource will have, ≥ 0. */
      readonly completeLength: number
      /** Size that the resource must have already. Not given with `Content-Range`. */
      readonly start?: number
    }
  | {
      /** `Content-Offset: 5;complete-length=20`: data of unknown length. */
      readonly kind: 'open'
      /** First position written, ≥ 0. */
      readonly start: number
      /** Length that the finished resource will have; null if it is not given. Never less than `start`. */
      readonly completeLength: number | null
    }

/** The header of one part, validated. */
export interface Part {
  /** Position of the part in its patch, from 0; null in a format that has a single part. */
  readonly index: number | null
  /** Range that the data is written to. */
  readonly target: PartTarget
  /** The part's `Content-Type`, valid, as it was sent; null if it has none. It is the resource's. */
  readonly contentType: string | null
  /** The part's `Content-Disposition`, valid, as it was sent; null if it has none. It is the resource's. */
  readonly contentDisposition: string | null
  /** The part's `Content-Digest` (RFC 9530), which covers its data, verbatim; null if it has none. */
  readonly contentDigest: string | null
  /** The digests of the part's `Repr-Digest` (RFC 9530) that can be verified, as one field; null if none. */
  readonly reprDigest: string | null
}

/**
 * One step of a patch document. Each `part` is followed by its `data` (none for an empty part), which
 * the parser has held to the length of the range by the time the next `part` or the end comes.
 */
export type PartEvent =
  | { readonly type: 'part'; readonly part: Part }
  | { readonly type: 'data'; readonly bytes: Uint8Array }

/** Limits of a parser. All sizes in bytes. */
export interface PartLimits {
  /** Parts in one patch. Beyond it: 400 `ERR_PATCH_LIMIT`. */
  readonly maxParts: number
  /** Header block of one part, without its blank line. Beyond it: 400 `ERR_PATCH_LIMIT`. */
  readonly maxPartHeaderSize: number
  /** Length of the resource. A range or complete-length beyond it: 400 `ERR_SIZE_LIMIT`. */
  readonly maxSize: number
}

/**
 * A state machine without I/O that turns the bytes of a patch document into events.
 *
 * The result does not depend on how the document is cut into chunks. The `data` events are views of
 * the chunks that were given (or of a small buffer for bytes held back at a chunk's end).
 */
export interface PartParser {
  /**
   * Parses the next chunk, and returns the events that it completes.
   *
   * @throws UploadError for a malformed document: the same one under any cut. The parser can't be
   * used after it.
   */
  write(chunk: Uint8Array): readonly PartEvent[]
  /**
   * Ends the document. Called once, after the end of the content.
   *
   * @throws UploadError if the document is not finished.
   */
  end(): readonly PartEvent[]
}
