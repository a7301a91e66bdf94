/** The digests that a client sends along (RFC 9530). */
import { readPiece, readRange, type ByteSource } from './source/byte-source.ts'
import type { Hash, Piece } from './transport/transport.ts'

/** Bytes of the source in memory at a time. */
const READ_SIZE = 256 * 1024

/** The `Repr-Digest` of a source; of one that is read only once, the hash must know all bytes. */
export async function digestSource(
  hash: Hash,
  source: ByteSource,
  signal: AbortSignal,
): Promise<string> {
  const size = source.once ? 0 : (source.size ?? 0)
  for (let at = 0; at < size; at += READ_SIZE) {
    signal.throwIfAborted()
    hash.update(await readRange(source, at, at + READ_SIZE))
  }
  return format(hash)
}

/** The `Content-Digest` of all that one request carries, headers of the message too (RFC 9530 §2). */
export async function digestContent(hash: Hash, body: readonly Piece[]): Promise<string> {
  for (const piece of body) hash.update(await readPiece(piece))
  return format(hash)
}

function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
