/**
 * SHA-256 (FIPS 180-4) of bytes that come in pieces, which `crypto.subtle` can't do. Loaded only when
 * a digest is asked for, and only where the platform has nothing faster.
 */
import type { Hash } from './transport.ts'

const BLOCK = 64
/** Where the length of the message begins in the last block. */
const LENGTH_AT = 56

/** The first 64 primes: the constants are fractions of their roots. */
const PRIMES: readonly number[] = [...sieve(312)]
const ROUND = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)))
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

/** Begins a hash. */
export function createSha256(): Hash {
  const state = INITIAL.slice()
  const words = new Int32Array(64)
  const block = new Uint8Array(BLOCK)
  let length = 0

  function update(bytes: Uint8Array): void {
    let at = 0
    const held = length % BLOCK
    length += bytes.byteLength
    if (held > 0) {
      at = Math.min(BLOCK - held, bytes.byteLength)
      block.set(bytes.subarray(0, at), held)
      if (held + at < BLOCK) return
      compress(state, words, block, 0)
    }
    for (; at + BLOCK <= bytes.byteLength; at += BLOCK) compress(state, words, bytes, at)
    block.set(bytes.subarray(at))
  }

  function digest(): Uint8Array {
    const bits = length * 8
    const padding = new Uint8Array(((2 * BLOCK + LENGTH_AT - 1 - (length % BLOCK)) % BLOCK) + 9)
    padding[0] = 0x80
    const view = new DataView(padding.buffer)
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32))
    view.setUint32(padding.length - 4, bits % 2 ** 32)
    update(padding)
    const result = new DataView(new ArrayBuffer(32))
    for (const [index, word] of state.entries()) result.setInt32(index * 4, word)
    return new Uint8Array(result.buffer)
  }

  return { update, digest }
}

/** FIPS 180-4 §6.2.2, on the block that begins at `at`. */
function compress(state: Int32Array, words: Int32Array, bytes: Uint8Array, at: number): void {
  expand(words, bytes, at)
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  let f = state[5]!
  let g = state[6]!
  let h = state[7]!
  for (let t = 0; t < 64; t++) {
    const big1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const first = (h + big1 + ((e & f) ^ (~e & g)) + ROUND[t]! + words[t]!) | 0
    const big0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const second = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  state[0] = state[0]! + a
  state[1] = state[1]! + b
  state[2] = state[2]! + c
  state[3] = state[3]! + d
  state[4] = state[4]! + e
  state[5] = state[5]! + f
  state[6] = state[6]! + g
  state[7] = state[7]! + h
}

function expand(words: Int32Array, bytes: Uint8Array, at: number): void {
  for (let t = 0; t < 16; t++) {
    const i = at + 4 * t
    words[t] = (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!
  }
  for (let t = 16; t < 64; t++) {
    const x = words[t - 15]!
    const y = words[t - 2]!
    const small0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const small1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    words[t] = small1 + words[t - 7]! + small0 + words[t - 16]!
  }
}

/** The first 32 bits after the point. */
function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0
}

function* sieve(limit: number): Generator<number, void, undefined> {
  for (let n = 2; n < limit; n++) {
    let isPrime = true
    for (let d = 2; d * d <= n; d++) if (n % d === 0) isPrime = false
    if (isPrime) yield n
  }
}
