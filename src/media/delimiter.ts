/**
 * Finds the delimiter lines of a multipart (RFC 2046 §5.1.1) among its octets. A delimiter may be
 * cut anywhere between two chunks, so the scanner remembers how much of one has matched, and
 * returns those bytes as octets if the next chunk continues in another way.
 */
import { UploadError } from '../errors.ts'
import { createNeedle, indexOf, matchLength, type Needle, partialLength } from './search.ts'

/** What a scan has found: a run of octets, or a delimiter line. */
export interface Finding {
  /**
   * `octets` outside delimiter lines; the `delimiter` before a part; the `close-delimiter` after
   * the last part.
   */
  readonly kind: 'octets' | 'delimiter' | 'close-delimiter'
  /**
   * The octets, as a view of the chunk, or a copy of bytes from earlier chunks that were held back.
   * May be empty.
   */
  readonly bytes: Uint8Array
  /** Position in the chunk at which the next scan starts. */
  readonly end: number
}

/**
 * Largest number of bytes between a boundary and the LF of its line: the dashes of a
 * close-delimiter, transport padding (spaces and tabs), CR. Beyond it: 400 `ERR_PATCH_LIMIT`,
 * because these bytes are held in memory.
 */
export const MAX_LINE_REST = 256

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const DASH = 0x2d
const EMPTY = new Uint8Array(0)

/** The last element that was read in the line after a boundary. */
type LineState = 'boundary' | 'padding' | 'cr' | 'dash' | 'close' | 'close-padding' | 'close-cr'

/**
 * Divides chunks into octets and delimiter lines.
 *
 * A line that begins with the boundary and continues with other text counts as octets. RFC 2046
 * treats it as a delimiter, but senders only make sure that no whole line of their data equals the
 * delimiter.
 */
export class DelimiterScanner {
  readonly #needle: Needle
  /** Number of bytes of `CRLF--boundary` that match at the current position. */
  #matched = 0
  /**
   * Number of these bytes that are not octets. A part without data has one CRLF that ends its
   * header and also begins the next delimiter, so that the CRLF before a run counts as matched, but
   * is not returned as octets.
   */
  #borrowed = 0
  /** The state of the line after a boundary that has matched. */
  #line: LineState = 'boundary'
  /** The bytes of that line, which are octets if its end shows that it is not a delimiter. */
  readonly #rest = new Uint8Array(MAX_LINE_REST)
  #restLength = 0

  constructor(boundary: string) {
    this.#needle = createNeedle(boundary)
    this.begin()
  }

  /**
   * Begins a run of octets, at the start of the content or after the CRLF of the blank line that
   * ends a header.
   */
  begin(): void {
    this.#reset(2, 2)
  }

  /**
   * Scans the chunk from `start` on, and returns the first finding. The caller scans on from its
   * `end`.
   *
   * @throws UploadError `ERR_PATCH_LIMIT` for too much padding.
   */
  next(chunk: Uint8Array, start: number): Finding {
    if (this.#matched === 0) return this.#search(chunk, start)
    const length = matchLength(chunk, this.#needle, start, this.#matched)
    const end = start + length
    this.#matched += length
    if (this.#matched === this.#needle.bytes.length) return this.#readLine(chunk, end)
    return end === chunk.length ? octets(EMPTY, end) : this.#release(end)
  }

  /**
   * Returns whether the content so far ends in a close-delimiter without CRLF, which is allowed at
   * its end.
   */
  endsClosed(): boolean {
    return this.#line === 'close' || this.#line === 'close-padding'
  }

  /** Searches for the next boundary while no byte of one has matched. */
  #search(chunk: Uint8Array, start: number): Finding {
    const found = this.#find(chunk, start)
    if (found !== -1) {
      this.#matched = this.#needle.bytes.length
      return octets(chunk.subarray(start, found), found + this.#matched)
    }
    this.#matched = partialLength(chunk, this.#needle, start)
    const whole = start === 0 && this.#matched === 0
    return octets(whole ? chunk : chunk.subarray(start, chunk.length - this.#matched), chunk.length)
  }

  /**
   * Finds the next boundary whose line is a delimiter, as far as the chunk shows. Without the check
   * of the line, hostile data with a boundary in each line would be split into millions of pieces,
   * each with a fixed cost.
   */
  #find(chunk: Uint8Array, start: number): number {
    let from = start
    for (;;) {
      const found = indexOf(chunk, this.#needle, from)
      from = found + this.#needle.bytes.length
      if (found === -1 || mayBeDelimiter(chunk, from)) return found
    }
  }

  /**
   * Reads the line after a boundary. If it is not a delimiter, the boundary and the line were
   * octets.
   */
  #readLine(chunk: Uint8Array, start: number): Finding {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at]!
      const next = advance(this.#line, byte)
      if (next === null) return this.#release(at)
      if (next === 'end') return this.#endLine(at + 1)
      this.#hold(byte)
      this.#line = next
    }
    return octets(EMPTY, chunk.length)
  }

  /** Returns the delimiter at the end of its line. */
  #endLine(end: number): Finding {
    const kind = this.#line === 'close-cr' ? 'close-delimiter' : 'delimiter'
    this.#reset(0, 0)
    return { kind, bytes: EMPTY, end }
  }

  /** Remembers a byte of the line, which may turn out to be an octet. */
  #hold(byte: number): void {
    if (this.#restLength === MAX_LINE_REST) {
      const detail = `more than ${MAX_LINE_REST} bytes of padding follow a boundary`
      throw new UploadError('ERR_PATCH_LIMIT', { detail })
    }
    this.#rest[this.#restLength++] = byte
  }

  /**
   * Returns the bytes that were held back as octets, except a CR at their end, which may begin the
   * next delimiter.
   */
  #release(end: number): Finding {
    const kept = this.#line === 'cr' || this.#line === 'close-cr' ? 1 : 0
    const bytes = concat(
      this.#needle.bytes.subarray(this.#borrowed, this.#matched),
      this.#rest.subarray(0, this.#restLength - kept),
    )
    this.#reset(kept, 0)
    return octets(bytes, end)
  }

  #reset(matched: number, borrowed: number): void {
    this.#matched = matched
    this.#borrowed = borrowed
    this.#line = 'boundary'
    this.#restLength = 0
  }
}

/**
 * Whether the line that continues at `start` is a delimiter, or may be one because the chunk ends
 * inside it.
 */
function mayBeDelimiter(chunk: Uint8Array, start: number): boolean {
  const stop = Math.min(chunk.length, start + MAX_LINE_REST)
  let line: LineState = 'boundary'
  for (let at = start; at < stop; at++) {
    const next = advance(line, chunk[at]!)
    if (next === null || next === 'end') return next === 'end'
    line = next
  }
  return true
}

/**
 * Returns the state after the next byte of the line; `end` after a delimiter, null if the line is
 * not a delimiter.
 */
function advance(state: LineState, byte: number): LineState | 'end' | null {
  switch (state) {
    case 'boundary':
      return byte === DASH ? 'dash' : afterPadding(byte, 'padding', 'cr')
    case 'padding':
      return afterPadding(byte, 'padding', 'cr')
    case 'dash':
      return byte === DASH ? 'close' : null
    case 'close':
    case 'close-padding':
      return afterPadding(byte, 'close-padding', 'close-cr')
    case 'cr':
    case 'close-cr':
      return byte === LF ? 'end' : null
  }
}

function afterPadding(byte: number, padding: LineState, cr: LineState): LineState | null {
  if (byte === SP || byte === HTAB) return padding
  return byte === CR ? cr : null
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (second.length === 0) return first
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}

function octets(bytes: Uint8Array, end: number): Finding {
  return { kind: 'octets', bytes, end }
}
