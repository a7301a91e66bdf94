/**
 * Checks the boundary of a multipart (RFC 2046 §5.1.1), and finds one that the `Content-Type`
 * lacks.
 */
import { UploadError } from '../errors.ts'
import { MultipartByterangesParser } from './multipart-byteranges.ts'
import type { PartEvent, PartLimits, PartParser } from './part.ts'

/** 1 to 70 characters, of which the last one is not a space. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/
/** Largest length of the first line in bytes: two dashes, a boundary of 70 characters, CRLF. */
const MAX_FIRST_LINE = 2 + 70 + 2
const LF = 0x0a
const CR = 0x0d
const LATIN1 = new TextDecoder('latin1')

/** Returns whether the text is a valid boundary. */
export function isBoundary(text: string): boolean {
  return BOUNDARY.test(text)
}

/**
 * Parses a multipart whose media type lacks the boundary, because the browser demo of the draft's
 * author sends it so. The content then has to begin with a delimiter, from which the boundary is
 * read; CRLFs before it are skipped. The rest is parsed as if the boundary had been named.
 */
export class UnnamedBoundaryParser implements PartParser {
  readonly #limits: PartLimits
  /** The first line that is not empty, as far as it has arrived. */
  readonly #line = new Uint8Array(MAX_FIRST_LINE)
  #length = 0
  /** Parses the document once the boundary is known; null before. */
  #parser: PartParser | null = null

  constructor(limits: PartLimits) {
    this.#limits = limits
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    if (this.#parser) return this.#parser.write(chunk)
    for (let at = 0; at < chunk.length; at++) {
      if (!this.#take(chunk[at]!)) continue
      const line = this.#line.subarray(0, this.#length)
      this.#parser = new MultipartByterangesParser(toBoundary(line), this.#limits)
      return [...this.#parser.write(line), ...this.#parser.write(chunk.subarray(at + 1))]
    }
    return []
  }

  end(): readonly PartEvent[] {
    if (!this.#parser) throw notFound()
    return this.#parser.end()
  }

  /** Adds a byte to the line. Returns true if the byte ends the first line that is not empty. */
  #take(byte: number): boolean {
    if (this.#length === MAX_FIRST_LINE) throw notFound()
    this.#line[this.#length++] = byte
    const afterCr = this.#line[this.#length - 2] === CR
    if (byte !== LF || !afterCr) return false
    if (this.#length > 2) return true
    this.#length = 0
    return false
  }
}

/**
 * Reads the boundary from a delimiter line with its CRLF. Spaces at the end are padding (RFC 2046
 * §5.1.1).
 */
function toBoundary(line: Uint8Array): string {
  const text = LATIN1.decode(line)
  const boundary = text.slice(2, -2).replace(/ +$/, '')
  if (!text.startsWith('--') || !isBoundary(boundary)) throw notFound()
  return boundary
}

function notFound(): UploadError {
  return new UploadError('ERR_SYNTAX', {
    detail: 'the media type has no boundary, and the content does not begin with a delimiter',
  })
}
