/** The digests that a client sends along and compares (RFC 9530). */
import { readPiece, readRange, type ByteSource } from './source/byte-source.ts'
import type { Hash, Piece } from './transport/transport.ts'

/** Bytes of the source in memory at a time. */
const READ_SIZE = 256 * 1024

/** Sums of the first bytes of a source. */
export interface SourceHash {
  /** Takes note of the bytes of a stream, in order. */
  readonly tap: (bytes: Uint8Array) => void
  /**
   * The digest of the first `size` bytes; null for a stream that has been read beyond them. The
   * bytes of a stream that lie before are not kept.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  readonly prefix: (source: ByteSource, size: number, signal: AbortSignal) => Promise<string | null>
}

/** A hash, and the number of bytes that it has seen. */
interface Point {
  readonly size: number
  readonly hash: Hash
}

/** Begins to hash a source. What was hashed once is not read again for a longer prefix. */
export function createSourceHash(createHash: () => Hash): SourceHash {
  let known: Point = { size: 0, hash: createHash() }
  /** The position of a stream at which the hash is to be kept, and the hash there. */
  let mark = 0
  let marked: Point | null = null

  function tap(bytes: Uint8Array): void {
    const before = mark - known.size
    const isMarked = before >= 0 && before <= bytes.byteLength
    if (isMarked) {
      marked = advance(known, bytes.subarray(0, before))
    }
    known.hash.update(bytes)
    known = { size: known.size + bytes.byteLength, hash: known.hash }
  }

  async function prefixOfStream(source: ByteSource, size: number): Promise<string | null> {
    if (known.size < size) {
      mark = size
      await source.slice(size, size)
    }
    const point = [known, marked].find((candidate) => candidate?.size === size)
    return point ? format(point.hash.copy()) : null
  }

  async function prefixOfFile(
    source: ByteSource,
    size: number,
    signal: AbortSignal,
  ): Promise<string> {
    const from = known.size <= size ? known : { size: 0, hash: createHash() }
    const hash = from.hash.copy()
    for (let at = from.size; at < size; at += READ_SIZE) {
      signal.throwIfAborted()
      hash.update(await readRange(source, at, Math.min(at + READ_SIZE, size)))
    }
    known = { size, hash }
    return format(hash.copy())
  }

  return {
    tap,
    prefix: async (source, size, signal) =>
      source.once ? prefixOfStream(source, size) : prefixOfFile(source, size, signal),
  }
}

function advance({ size, hash }: Point, bytes: Uint8Array): Point {
  const next = hash.copy()
  next.update(bytes)
  return { size: size + bytes.byteLength, hash: next }
}

/** The `Content-Digest` of all that one request carries, headers of the message too (RFC 9530 §2). */
export async function digestContent(hash: Hash, body: readonly Piece[]): Promise<string> {
  for (const piece of body) hash.update(await readPiece(piece))
  return format(hash)
}

/** The SHA-256 in a `Repr-Digest`, as `sha-256=:…:`; null if the field has none. */
export function sha256Of(field: string | null): string | null {
  const sum = /(?:^|,)\s*(sha-256=:[\w+/]{43}=:)/.exec(field ?? '')
  return sum?.[1] ?? null
}

function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
