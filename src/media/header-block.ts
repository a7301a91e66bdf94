/**
 * Collects the header block of a part, which ends with a blank line. Bare CR and LF are refused: a
 * proxy or scanner that treats them as line ends would see other fields than this server.
 */
import { UploadError } from '../errors.ts'

const NUL = 0x00
const LF = 0x0a
const CR = 0x0d
/** Initial size of the buffer in bytes, which suffices for most header blocks. */
const MIN_HELD = 512
const EMPTY = new Uint8Array(0)
const LATIN1 = new TextDecoder('latin1')

/** One header block, gathered from chunks. */
export class HeaderBlock {
  readonly #maxSize: number
  /**
   * The bytes of earlier chunks. The buffer grows by doubling, so that a byte at a time costs
   * linear time.
   */
  #held = EMPTY
  /** Number of bytes read so far. */
  #size = 0
  /** Length of the current line so far; 0 at its start. */
  #lineLength = 0
  /** Whether the last byte was CR, which LF has to follow. */
  #afterCr = false

  /** @param maxSize Largest block without its blank line, in bytes. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize
  }

  /** Number of bytes of the block so far, with the blank line once it has been read. */
  get size(): number {
    return this.#size
  }

  /**
   * Reads the chunk from `start` on. Returns the block as text, without its blank line, and the
   * position in the chunk after it; null if the block does not end in the chunk.
   *
   * @throws UploadError `ERR_SYNTAX` for a bare CR, a bare LF or a NUL; `ERR_PATCH_LIMIT` for a
   * block beyond `maxSize`.
   */
  read(chunk: Uint8Array, start: number): { readonly text: string; readonly end: number } | null {
    for (let at = start; at < chunk.length; at++) {
      if (this.#take(chunk[at]!)) return { text: this.#finish(chunk, start, at + 1), end: at + 1 }
    }
    this.#hold(chunk.subarray(start))
    return null
  }

  /** Checks the next byte; returns true if it ends the blank line. */
  #take(byte: number): boolean {
    if (byte === NUL) throw malformed('a NUL')
    if (this.#afterCr !== (byte === LF)) throw malformed(byte === LF ? 'a bare LF' : 'a bare CR')
    this.#size++
    this.#afterCr = byte === CR
    if (byte === LF && this.#lineLength === 0) return true
    // The CR of the blank line does not count: the limit is about the block without it.
    const blank = this.#afterCr && this.#lineLength === 0
    if (this.#size > this.#maxSize && !blank) throw this.#tooLarge()
    if (byte === LF) this.#lineLength = 0
    else if (!this.#afterCr) this.#lineLength++
    return false
  }

  /** Returns the whole block as text. One that is in a single chunk is not copied. */
  #finish(chunk: Uint8Array, start: number, end: number): string {
    const earlier = this.#size - (end - start)
    if (earlier === 0) return LATIN1.decode(chunk.subarray(start, end - 2))
    this.#append(chunk.subarray(start, end), earlier)
    return LATIN1.decode(this.#held.subarray(0, this.#size - 2))
  }

  /** Copies bytes, because a chunk is only valid during the call. */
  #hold(bytes: Uint8Array): void {
    this.#append(bytes, this.#size - bytes.length)
  }

  /** Copies bytes to a position of the buffer. */
  #append(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.#held.length) {
      const grown = new Uint8Array(Math.max(MIN_HELD, 2 * (at + bytes.length)))
      grown.set(this.#held.subarray(0, at))
      this.#held = grown
    }
    this.#held.set(bytes, at)
  }

  #tooLarge(): UploadError {
    const detail = `the header block is larger than ${this.#maxSize} bytes`
    return new UploadError('ERR_PATCH_LIMIT', { detail })
  }
}

function malformed(what: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail: `${what} in the header block; lines end in CRLF` })
}
