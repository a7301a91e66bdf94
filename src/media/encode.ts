/**
 * Writes `multipart/byteranges` as a GET of several ranges sends it: for each range its header and
 * its data, and the close-delimiter in the end.
 */
import { formatContentRange } from '../fields/content-range.ts'

const ENCODER = new TextEncoder()

/**
 * Encodes what precedes a part's data. Each delimiter brings its CRLF along, the first one too: there
 * it ends an empty preamble (RFC 2046 §5.1.1), and the length of a part does not depend on its place.
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
