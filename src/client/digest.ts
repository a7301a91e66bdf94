/** The digests that a client sends along (RFC 9530). */
import { readPiece, readRange, type ByteSource } from './byte-source.ts'
import type { Hash, Piece } from './transport.ts'

/** Bytes of the source in memory at a time. */
const READ_SIZE = 256 * 1024

/**
 * The `Repr-Digest` of a source, hashed beside its transfer: the reads mostly hit what the system
 * still has in memory, and a retry does not disturb them.
 */
export interface SourceDigest {
  /** Takes the bytes of a source that is read only once, in order. */
  readonly tap: (bytes: Uint8Array) => void
  /** Hashes the source up to `end`. Resolves when that is done. */
  readonly follow: (source: ByteSource, end: number, signal: AbortSignal) => Promise<void>
  /** The field for all that was hashed, which is the same when a retry asks again. */
  readonly format: () => string
}

/** Begins the digest of a source. */
export function createSourceDigest(hash: Hash): SourceDigest {
  let position = 0
  let turn: Promise<void> = Promise.resolve()
  let field = ''

  async function read(source: ByteSource, end: number, signal: AbortSignal): Promise<void> {
    // A source that is read once came by the tap.
    while (!source.once && position < end) {
      signal.throwIfAborted()
      const next = Math.min(end, position + READ_SIZE)
      hash.update(await readRange(source, position, next))
      position = next
    }
  }

  return {
    tap: (bytes) => hash.update(bytes),
    follow: async (source, end, signal) => {
      const readOn = async (): Promise<void> => read(source, end, signal)
      // A turn that failed was reported to its own caller.
      turn = turn.then(readOn, readOn)
      return turn
    },
    format: () => (field ||= format(hash)),
  }
}

/** The `Content-Digest` of all that one request carries, headers of the message too (RFC 9530 §2). */
export async function digestContent(hash: Hash, body: readonly Piece[]): Promise<string> {
  for (const piece of body) hash.update(await readPiece(piece))
  return format(hash)
}

function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
