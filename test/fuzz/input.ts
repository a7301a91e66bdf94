/**
 * Divides the bytes of a fuzzer into two printable bytes that choose variants, and the input
 * itself.
 */

export interface FuzzInput {
  /** Chooses among variants: 0 to 255. */
  readonly choice: number
  /** Seed of the cuts: 0 to 255. */
  readonly seed: number
  /** The bytes of the input. */
  readonly bytes: Uint8Array
}

/** The digit 0, so that a variant can be named in a text file. */
const ZERO = 0x30

export function splitInput(data: Uint8Array): FuzzInput {
  const [choice = ZERO, seed = ZERO] = data
  return {
    choice: (choice - ZERO) & 0xff,
    seed: (seed - ZERO) & 0xff,
    bytes: new Uint8Array(data.subarray(2)),
  }
}
