/**
 * Encodes the framing of the `multipart/byteranges` content that answers a GET of several ranges: a
 * header before the data of each range, and the close-delimiter after the last one.
 */
import { formatContentRange } from '../fields/content-range.ts'

const ENCODER = new TextEncoder()

/**
 * Encodes the delimiter and the header of a part. `end` is exclusive. Also the first delimiter
 * begins with CRLF, which there ends an empty preamble (RFC 2046 §5.1.1), so that the length of a
 * part does not depend on its position.
 */
export function encodePartHeader(
  boundary: string,
  contentType: string,
  start: number,
  end: number,
  completeLength: number | null,
): Uint8Array {
  const range = formatContentRange(start, end, completeLength)
  return ENCODER.encode(
    `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${range}\r\n\r\n`,
  )
}

/** Encodes the close-delimiter, which follows the data of the last part. */
export function encodeCloseDelimiter(boundary: string): Uint8Array {
  return ENCODER.encode(`\r\n--${boundary}--\r\n`)
}
