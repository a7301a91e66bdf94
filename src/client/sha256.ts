/**
 * SHA-256 (FIPS 180-4) of bytes that come in pieces.
 *
 * `crypto.subtle.digest` needs all bytes in memory at once, and exists only in
 * secure contexts (HTTPS or localhost). The
 * code is short rather than fast, because it is part of every browser's bundle.
 */
import type { Hash } from './transport/transport.ts'

/** Number of bytes in a block, and also the number of rounds per block. */
const BLOCK = 64
/** Position of the length of the message in the last block, in bytes (FIPS 180-4 §5.1.1). */
const LENGTH_AT = 56

/**
 * The first 64 primes. The constants of SHA-256 are defined as fractions of their roots, and
 * computing them takes less code than listing them.
 */
const PRIMES: number[] = []
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime > 0)) PRIMES.push(n)

/** The constants of the rounds: fractions of the cube roots (FIPS 180-4 §4.2.2). */
const ROUND = fractions(1 / 3)

/** Starts a hash. Its initial state are fractions of square roots (FIPS 180-4 §5.3.3). */
export function createSha256(): Hash {
  return createHash(fractions(1 / 2).slice(0, 8), new Uint8Array(BLOCK), 0)
}

/**
 * Creates a hash that continues after `before` bytes. `block` holds those of an unfinished block.
 */
function createHash(state: Int32Array, block: Uint8Array<ArrayBuffer>, before: number): Hash {
  const words = new Int32Array(BLOCK)
  const view = new DataView(block.buffer)
  let length = before

  function update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      const held = length % BLOCK
      const part = bytes.subarray(at, at + BLOCK - held)
      block.set(part, held)
      at += part.byteLength
      length += part.byteLength
      if (length % BLOCK === 0) compress(state, words, view)
    }
  }

  return {
    update,
    digest: () => {
      // The number of bits of a file beyond 1 PiB does not fit into a number exactly.
      const bits = BigInt(length) * 8n
      update(Uint8Array.of(0x80))
      while (length % BLOCK !== LENGTH_AT) update(new Uint8Array(1))
      view.setBigUint64(LENGTH_AT, bits)
      compress(state, words, view)
      for (const [index, word] of state.entries()) view.setInt32(index * 4, word)
      return block.subarray(0, 32)
    },
    copy: () => createHash(state.slice(), block.slice(), length),
  }
}

/**
 * Updates the state with one block (FIPS 180-4 §6.2.2). The eight working variables are not an
 * array, because an array makes the function several times slower.
 */
function compress(state: Int32Array, words: Int32Array, block: DataView): void {
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  let f = state[5]!
  let g = state[6]!
  let h = state[7]!
  for (let t = 0; t < BLOCK; t++) {
    words[t] = t < 16 ? block.getInt32(t * 4) : nextWord(words, t)
    const sum = (h + mix(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + ROUND[t]! + words[t]!) | 0
    h = g
    g = f
    f = e
    e = (d + sum) | 0
    d = c
    const next = sum + mix(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c))
    c = b
    b = a
    a = next | 0
  }
  state.set([a, b, c, d, e, f, g, h].map((word, index) => word + state[index]!))
}

/** Computes word `t` of the message schedule, from 16 on (FIPS 180-4 §6.2.2, step 1). */
function nextWord(words: Int32Array, t: number): number {
  const x = words[t - 15]!
  const y = words[t - 2]!
  const small = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)
  return words[t - 16]! + small + words[t - 7]! + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10))
}

/** The functions Σ0 and Σ1, which differ only in the rotations (FIPS 180-4 §4.1.2). */
function mix(word: number, i: number, j: number, k: number): number {
  return rotate(word, i) ^ rotate(word, j) ^ rotate(word, k)
}

/** Rotates a word of 32 bits to the right. */
function rotate(word: number, by: number): number {
  return (word >>> by) | (word << -by)
}

/**
 * Returns the first 32 bits of the fractional parts of the roots of the primes. A double has 53
 * bits, and the integer part takes at most 5 of them.
 */
function fractions(exponent: number): Int32Array {
  return Int32Array.from(PRIMES, (prime) => (prime ** exponent % 1) * 2 ** 32)
}
