/**
 * Reads variable-length integers (RFC 9000 §16) of 1, 2, 4 or 8 bytes, which may be split between
 * chunks.
 */
import { UploadError } from '../errors.ts'

/**
 * Reads integers one after the other, a byte at a time, so that a cut between two bytes needs no
 * special case.
 */
export class VarintReader {
  #value = 0
  /** Number of bytes of the current integer that are still to come; 0 between integers. */
  #missing = 0

  /** Whether an integer has begun and not ended. */
  get isInside(): boolean {
    return this.#missing > 0
  }

  /**
   * Takes the next byte. Returns the integer that it ends; null if more bytes are needed.
   *
   * @throws UploadError `ERR_SYNTAX` for an integer above 2^53 - 1.
   */
  take(byte: number): number | null {
    if (this.#missing === 0) {
      // The first two bits are the logarithm of the length (RFC 9000 §16).
      this.#missing = 2 ** (byte >> 6) - 1
      this.#value = byte & 0x3f
    } else {
      this.#missing -= 1
      this.#value = this.#value * 256 + byte
    }
    if (this.#missing > 0) return null
    if (Number.isSafeInteger(this.#value)) return this.#value
    throw new UploadError('ERR_SYNTAX', { detail: 'an integer is larger than 2^53 - 1' })
  }
}
