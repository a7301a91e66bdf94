/** SHA-256 (FIPS 180-4) of bytes that come in pieces, which `crypto.subtle` can't do. */
import type { Hash } from './transport/transport.ts'

const BLOCK = 64
/** Position of the message length in the last block, in bytes (FIPS 180-4 §5.1.1). */
const LENGTH_AT = 56

/** The first 64 primes: the constants are fractions of their roots. */
const PRIMES: number[] = []
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime > 0)) PRIMES.push(n)

const ROUND = fractions(1 / 3)

/** Begins a hash. */
export function createSha256(): Hash {
  return createHash(fractions(1 / 2).slice(0, 8), new Uint8Array(BLOCK), 0)
}

/** A hash after `before` bytes, of which `block` holds the last ones. */
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

  function digest(): Uint8Array {
    const bits = BigInt(length) * 8n
    update(Uint8Array.of(0x80))
    while (length % BLOCK !== LENGTH_AT) update(new Uint8Array(1))
    view.setBigUint64(LENGTH_AT, bits)
    compress(state, words, view)
    for (const [index, word] of state.entries()) view.setInt32(index * 4, word)
    return block.subarray(0, 32)
  }

  return { update, digest, copy: () => createHash(state.slice(), block.slice(), length) }
}

/** FIPS 180-4 §6.2.2. Variables, since an array of eight would take several times as long. */
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

function nextWord(words: Int32Array, t: number): number {
  const x = words[t - 15]!
  const y = words[t - 2]!
  const small = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)
  return words[t - 16]! + small + words[t - 7]! + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10))
}

function mix(word: number, i: number, j: number, k: number): number {
  return rotate(word, i) ^ rotate(word, j) ^ rotate(word, k)
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << -by)
}

/** The first 32 bits after the point of the roots of the primes. */
function fractions(exponent: number): Int32Array {
  return Int32Array.from(PRIMES, (prime) => (prime ** exponent % 1) * 2 ** 32)
}
