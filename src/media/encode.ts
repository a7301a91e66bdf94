/**
 * Encodes the `multipart/byteranges` content that answers a GET of several ranges: a header before the
 * data of each range, and the close-delimiter after the last one.
 */
import { formatContentRange } from '../fields/content-range.ts'

const ENCODER = new TextEncoder()

/**
 * Encodes what precedes a part's data. Each delimiter begins with CRLF, the first one as well: there
 * it ends an empty preamble (RFC 2046 §5.1.1), so that all parts of one size have the same length.
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

/** Encodes what follows the last part's data. */
export function encodeCloseDelimiter(boundary: string): Uint8Array {
  return ENCODER.encode(`\r\n--${boundary}--\r\n`)
}
