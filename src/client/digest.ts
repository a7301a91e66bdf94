/** The digests that a client sends along (RFC 9530). Loaded only when they are asked for. */
import type { UploadOptions } from './options.ts'
import type { ByteSource } from './byte-source.ts'
import type { Hash, Piece, Platform } from './transport.ts'

/** Bytes of the source in memory at a time. */
const READ_SIZE = 256 * 1024

/** The digests of one upload. */
export interface Digests {
  /** Takes the bytes of a source that is read only once, in order. */
  tap(bytes: Uint8Array): void
  /** Hashes the source up to `end`, beside the transfer. Resolves when that is done. */
  follow(source: ByteSource, end: number, signal: AbortSignal): Promise<void>
  /** The `Repr-Digest` of the whole source; empty if none is wanted. */
  whole(source: ByteSource, end: number, signal: AbortSignal): Promise<string>
  /** The `Content-Digest` field of one request; none if it is not wanted. */
  fieldsFor(pieces: readonly Piece[]): Promise<Readonly<Record<string, string>>>
}

/** Begins the digests that the options ask for. */
export async function openDigests(
  { reprDigest, contentDigest }: UploadOptions,
  platform: Platform,
): Promise<Digests> {
  const follower = reprDigest === true ? new Follower(await platform.createHash()) : null
  return {
    tap: (bytes) => follower?.tap(bytes),
    follow: async (source, end, signal) => follower?.until(source, end, signal),
    whole: async (source, end, signal) => {
      await follower?.until(source, end, signal)
      return follower?.format() ?? ''
    },
    fieldsFor: async (pieces) => {
      if (contentDigest !== true) return {}
      return { 'Content-Digest': await hashContent(await platform.createHash(), pieces) }
    },
  }
}

/**
 * Hashes a source that can be read again. The reads mostly hit what the system still has in memory,
 * and a retry does not disturb them.
 */
class Follower {
  readonly #hash: Hash
  #position = 0
  #turn: Promise<void> = Promise.resolve()
  #field = ''

  constructor(hash: Hash) {
    this.#hash = hash
  }

  tap(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  until(source: ByteSource, end: number, signal: AbortSignal): Promise<void> {
    // A turn that failed was reported to its own caller.
    this.#turn = this.#turn.catch(() => undefined).then(async () => this.#read(source, end, signal))
    return this.#turn
  }

  /** The field, which is the same when a retry asks again. */
  format(): string {
    this.#field ||= format(this.#hash)
    return this.#field
  }

  async #read(source: ByteSource, end: number, signal: AbortSignal): Promise<void> {
    // A source that is read once came by the tap.
    while (!source.once && this.#position < end) {
      signal.throwIfAborted()
      const bytes = await source.read(this.#position, Math.min(end, this.#position + READ_SIZE))
      this.#hash.update(bytes)
      this.#position += bytes.byteLength
    }
  }
}

/** Hashes all that one request carries, headers of the message too (RFC 9530 §2). */
async function hashContent(hash: Hash, pieces: readonly Piece[]): Promise<string> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) hash.update(piece)
    else if (piece instanceof Blob) hash.update(new Uint8Array(await piece.arrayBuffer()))
    else for await (const bytes of piece.stream()) hash.update(bytes)
  }
  return format(hash)
}

function format(hash: Hash): string {
  return `sha-256=:${btoa(String.fromCharCode(...hash.digest()))}:`
}
