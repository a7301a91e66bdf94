/** Writes patch documents around pieces that need not be in memory. */
import { pieceSize, type Piece } from './transport.ts'

const ENCODER = new TextEncoder()

/** One range of a patch. */
export interface MessagePart {
  /** Position of the first byte. */
  readonly start: number
  /** The bytes; null for a part that only tells the complete length. */
  readonly data: Piece | null
  /** Length that the finished resource will have; null if unknown or not to be told. */
  readonly completeLength: number | null
  /** Media type of the whole resource; empty to leave it. */
  readonly contentType?: string | undefined
  /** `Repr-Digest` of the whole resource; empty for none. */
  readonly reprDigest?: string | undefined
}

/** A patch document. */
export interface PatchDocument {
  /** Its media type. */
  readonly type: string
  /** Its bytes. */
  readonly pieces: readonly Piece[]
  /** Bytes before the data of the first part. */
  readonly headerSize: number
}

/** Writes a `message/byteranges`. */
export function encodeMessage(part: MessagePart): PatchDocument {
  const header = encodeFields(part)
  return {
    type: 'message/byteranges',
    pieces: part.data === null ? [header] : [header, part.data],
    headerSize: header.byteLength,
  }
}

/** Writes the header of a part, with its blank line. */
export function encodeFields(
  { start, data, completeLength, contentType = '', reprDigest = '' }: MessagePart,
  delimiter = '',
): Uint8Array {
  const size = data === null ? 0 : pieceSize(data)
  // Not formatContentRange: its file brings the parsers of a server into the browser's bundle.
  const range = size === 0 ? '*' : `${start}-${start + size - 1}`
  const fields = [
    delimiter,
    `Content-Range: bytes ${range}/${completeLength ?? '*'}\r\n`,
    contentType === '' ? '' : `Content-Type: ${contentType}\r\n`,
    reprDigest === '' ? '' : `Repr-Digest: ${reprDigest}\r\n`,
    '\r\n',
  ]
  return ENCODER.encode(fields.join(''))
}
