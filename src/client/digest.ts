/** The digests that a client sends along and compares (RFC 9530). */
import { readPiece, readRange, type ByteSource } from './source/byte-source.ts'
import type { Hash, BlobLike } from './transport/transport.ts'

/** Bytes of the source in memory at a time. */
const READ_SIZE = 256 * 1024

/** The digests of the first bytes of a source. What was hashed once is not read again. */
export interface SourceHash {
  /**
   * Hashes a segment of a stream from position `start` on, because it can't be read again.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  readonly add: (start: number, segment: BlobLike) => Promise<void>
  /**
   * The digest of the first `size` bytes; null for a stream that was hashed beyond them. Bytes of a
   * stream that this has to read are not kept.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  readonly prefix: (size: number, signal: AbortSignal) => Promise<string | null>
}

/** Begins to hash a source. */
export function createSourceHash(createHash: () => Hash, source: ByteSource): SourceHash {
  /** The hash of the first `hashed` bytes. */
  let hash = createHash()
  let hashed = 0

  return {
    add: async (start, segment) => {
      const bytes = await readPiece(segment)
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

/** The `Content-Digest` of the content of one request, part headers included (RFC 9530 §2). */
export async function digestContent(hash: Hash, body: readonly BlobLike[]): Promise<string> {
  for (const piece of body) hash.update(await readPiece(piece))
  return format(hash)
}

/** The SHA-256 in a `Repr-Digest`, as `sha-256=:…:`; null if the field has none. */
export function sha256Of(field: string | null): string | null {
  return /(?:^|,)\s*(sha-256=:[\w+/]{43}=:)/.exec(field ?? '')?.[1] ?? null
}

function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
