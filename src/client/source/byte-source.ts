/** The common form of all kinds of sources. */
import { ClientError } from '../error.ts'
import type { BlobLike } from '../transport/transport.ts'

/** The bytes of a source by position. A `Blob` is one, too. */
export interface ByteSource {
  /** Length in bytes; null until the end has been read. */
  readonly size: number | null
  /** Media type; missing or empty if it is unknown. */
  readonly type?: string
  /** Whether the source is a stream: a range must not start before the one that was read last. */
  readonly once?: boolean
  /** Name of the file, if it is one. */
  readonly name?: string
  /** When the file was changed last, in milliseconds since 1970. */
  readonly lastModified?: number
  /**
   * The bytes from `start` to `end`; fewer where the source ends.
   *
   * @throws ClientError `ERR_SOURCE`
   */
  slice(start: number, end: number): BlobLike | Promise<BlobLike>
  /** Releases the file or the stream. */
  readonly close?: () => Promise<void>
}

/** Opens a source. */
export type OpenSource = () => ByteSource | Promise<ByteSource>

/** Makes the error for a source that can't be read. */
export function sourceError(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_SOURCE', message, { cause })
}

/**
 * Reads the bytes from `start` to `end` into memory; fewer where the source ends.
 *
 * @throws ClientError `ERR_SOURCE`
 */
export async function readRange(
  source: Pick<ByteSource, 'slice'>,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const piece = await source.slice(start, end)
  return readPiece(piece)
}

/**
 * Reads a piece into memory.
 *
 * @throws ClientError `ERR_SOURCE`
 */
export async function readPiece(piece: BlobLike): Promise<Uint8Array> {
  const bytes = new Uint8Array(await piece.arrayBuffer().catch(failToRead))
  checkSize(bytes.byteLength, piece.size)
  return bytes
}

/**
 * Reads pieces one after the other, and checks that each yields as many bytes as it has announced: a
 * Blob that `fs.openAsBlob` made of 4 GiB or more yields its size modulo 2^32 (Node 20 to 24).
 *
 * @throws ClientError `ERR_SOURCE` before it yields more bytes than announced.
 */
export async function* streamPieces(pieces: readonly BlobLike[]): AsyncGenerator<Uint8Array, void> {
  for (const piece of pieces) {
    let size = 0
    for await (const chunk of piece.stream()) {
      size += chunk.byteLength
      if (size > piece.size) break
      yield chunk
    }
    checkSize(size, piece.size)
  }
}

/** Throws `ERR_SOURCE` unless both numbers are the same. */
function checkSize(size: number, announced: number): void {
  if (size !== announced) {
    throw sourceError(`the source yields ${size} of ${announced} bytes`)
  }
}

/** Throws the error for a failed read, for example of a file that was moved after a person chose it. */
export function failToRead(cause: unknown): never {
  if (cause instanceof ClientError) throw cause
  throw sourceError('the source can not be read', cause)
}

/** Copies bytes into a Blob. Browsers make no Blob of memory that threads share. */
export function blobOf(bytes: Uint8Array): Blob {
  return new Blob([new Uint8Array(bytes)])
}
