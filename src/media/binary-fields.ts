/**
 * Parses field lines in the binary form of RFC 9292 §3.6: the length of the name, the name, the
 * length of the value, the value. Chunks may be cut anywhere.
 */
import { UploadError } from '../errors.ts'
import { FieldLinesBuilder, type FieldLines } from './field-lines.ts'
import { VarintReader } from './varint.ts'

/**
 * Characters that a field value must not contain (RFC 9110 §5.5). Unlike text, binary lines could
 * carry them.
 */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\n-\x1f\x7f]/
const LATIN1 = new TextDecoder('latin1')
const NOTHING = new Uint8Array(0)

/**
 * Parses one field section, of a known length or up to a name of length 0. The size of the section
 * is checked before memory for a line is allocated, because a few bytes can announce a line of
 * gigabytes.
 */
export class BinaryFields {
  readonly #maxSize: number
  /** Number of bytes of the section that are still to come; null if its length is not known. */
  #left: number | null
  /** Number of bytes read so far. */
  #size = 0
  readonly #varint = new VarintReader()
  readonly #fields = new FieldLinesBuilder()
  /** The name of the current line; null before it has been read. */
  #name: string | null = null
  /** The name or value that is being read, at its full length; null between two. */
  #text: Uint8Array | null = null
  /** Number of bytes of `#text` that have arrived. */
  #length = 0

  /**
   * @param length Length of the section in bytes; null if it ends with a name of length 0.
   * @param maxSize Largest section, in bytes.
   * @throws UploadError `ERR_PATCH_LIMIT` for a larger section, `ERR_SYNTAX` for an empty one.
   */
  constructor(length: number | null, maxSize: number) {
    if (length === 0) throw malformed('it is empty')
    this.#left = length
    this.#maxSize = maxSize
    this.#checkSize(length ?? 0)
  }

  /**
   * Reads the chunk from `start` on. Returns the fields and the position in the chunk after them;
   * null if the section does not end in the chunk.
   *
   * @throws UploadError `ERR_SYNTAX` for a malformed section, `ERR_PATCH_LIMIT` for one beyond its
   * largest size.
   */
  read(
    chunk: Uint8Array,
    start: number,
  ): { readonly fields: FieldLines; readonly end: number } | null {
    let at = start
    let isEnded = false
    while (!isEnded && at < chunk.length) {
      if (this.#text !== null) at += this.#gather(this.#text, chunk.subarray(at))
      else {
        const length = this.#takeLength(chunk[at]!)
        at += 1
        if (length === 0 && this.#left === null && this.#name === null) isEnded = true
        else if (length !== null) this.#begin(length)
      }
      if (this.#left === 0) isEnded = this.#isBetweenLines()
    }
    return isEnded ? { fields: this.#fields.lines, end: at } : null
  }

  /** Takes a byte of a length. Returns the length if the byte ends it; otherwise null. */
  #takeLength(byte: number): number | null {
    this.#count(1)
    return this.#varint.take(byte)
  }

  /** Begins the name or value that has this length, in bytes. */
  #begin(length: number): void {
    if (length === 0 && this.#name === null) throw malformed('a field name is empty')
    if (this.#left !== null && length > this.#left) throw malformed('a field exceeds its section')
    this.#checkSize(this.#size + length)
    this.#text = length === 0 ? NOTHING : new Uint8Array(length)
    this.#length = 0
    if (length === 0) this.#endText(NOTHING)
  }

  /** Copies bytes into the current name or value. Returns the number of bytes that belong to it. */
  #gather(text: Uint8Array, bytes: Uint8Array): number {
    const taken = bytes.subarray(0, text.length - this.#length)
    text.set(taken, this.#length)
    this.#length += taken.length
    this.#count(taken.length)
    if (this.#length === text.length) this.#endText(text)
    return taken.length
  }

  /** Ends a name, or a value and with it the line. */
  #endText(bytes: Uint8Array): void {
    const text = LATIN1.decode(bytes)
    this.#text = null
    if (this.#name === null) {
      this.#name = text
      return
    }
    if (CONTROL.test(text)) throw malformed('a field value has a control character')
    this.#fields.add(this.#name, text)
    this.#name = null
  }

  #count(bytes: number): void {
    this.#size += bytes
    if (this.#left !== null) this.#left -= bytes
  }

  /**
   * Called when a section has been read to its length. Returns true at the end of a line; inside
   * one it throws.
   */
  #isBetweenLines(): boolean {
    if (this.#name === null && this.#text === null && !this.#varint.isInside) return true
    throw malformed('the last field exceeds its section')
  }

  #checkSize(size: number): void {
    if (size <= this.#maxSize) return
    const detail = `the header block is larger than ${this.#maxSize} bytes`
    throw new UploadError('ERR_PATCH_LIMIT', { detail })
  }
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail: `the field section is malformed: ${detail}` })
}
