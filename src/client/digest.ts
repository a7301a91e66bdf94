/** The SHA-256 digests that the client sends and compares (RFC 9530). */
import { readPiece, readRange, type ByteSource } from './source/byte-source.ts'
import type { Hash, BlobLike } from './transport/transport.ts'

/** Number of bytes of the source to read into memory at a time for hashing. */
const READ_SIZE = 256 * 1024

/**
 * A running hash of a source, from its first byte on. It keeps its state, so that the digest of a
 * longer prefix only reads the bytes that were added.
 */
export interface SourceHash {
  /**
   * Hashes a segment that begins at position `start`. A stream calls this for each segment before
   * it is sent, because the bytes can't be read again later. A segment that was hashed before
   * counts once.
   *
   * @throws ClientError `ERR_SOURCE` if the segment can't be read.
   */
  readonly add: (start: number, segment: BlobLike) => Promise<void>
  /**
   * Returns the digest of the first `size` bytes as `sha-256=:…:`, and reads those that were not
   * hashed yet. Null for a stream that was hashed beyond `size`, because a hash can't be rewound.
   * Bytes that this reads from a stream can't be sent afterwards.
   *
   * @throws ClientError `ERR_SOURCE` if the source can't be read.
   */
  readonly prefix: (size: number, signal: AbortSignal) => Promise<string | null>
}

/** Creates the hash of a source. It reads nothing yet. */
export function createSourceHash(createHash: () => Hash, source: ByteSource): SourceHash {
  /** The hash of the first `hashed` bytes. */
  let hash = createHash()
  let hashed = 0

  return {
    add: async (start, segment) => {
      const bytes = await readPiece(segment)
      // After a broken connection the same segment comes again, perhaps from a later position on.
      hash.update(bytes.subarray(hashed - start))
      hashed = Math.max(hashed, start + bytes.byteLength)
    },
    prefix: async (size, signal) => {
      const isBeyond = hashed > size
      if (isBeyond && source.once) return null
      const next = isBeyond ? createHash() : hash.copy()
      let position = isBeyond ? 0 : hashed
      while (position < size) {
        signal.throwIfAborted()
        const bytes = await readRange(source, position, Math.min(position + READ_SIZE, size))
        // A stream may end before `size`. Its digest then can't be equal to the one of the server.
        if (bytes.byteLength === 0) break
        next.update(bytes)
        position += bytes.byteLength
      }
      hash = next
      hashed = position
      return format(next.copy())
    },
  }
}

/**
 * Returns the `Content-Digest` of one request (RFC 9530 §2). It covers the whole content of the
 * request, so that the headers of the parts are hashed as well.
 */
export async function digestContent(hash: Hash, body: readonly BlobLike[]): Promise<string> {
  for (const piece of body) hash.update(await readPiece(piece))
  return format(hash)
}

/**
 * Returns the SHA-256 in the value of a `Repr-Digest` as `sha-256=:…:`. Null without a value,
 * or if the value only has digests of other algorithms.
 */
export function sha256Of(field: string | null): string | null {
  return /(?:^|,)\s*(sha-256=:[\w+/]{43}=:)/.exec(field ?? '')?.[1] ?? null
}

/**
 * Formats a digest as a member of a dictionary whose value is a byte sequence (RFC 8941 §3.3.5).
 */
function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
