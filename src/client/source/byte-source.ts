/** The common interface of all kinds of sources: Blobs, streams and files. */
import { ClientError } from '../error.ts'
import type { BlobLike } from '../transport/transport.ts'

/**
 * The bytes of a source by position. The properties are named as those of `File`, so that a `Blob`
 * or a `File` can be used as it is.
 */
export interface ByteSource {
  /** Length in bytes; null for a stream whose end was not read yet. */
  readonly size: number | null
  /** Media type; missing or empty if it is unknown. */
  readonly type?: string
  /**
   * Whether the source is a stream, which can be read only once. A range must not start before the
   * range that was read last, because the bytes before it were discarded.
   */
  readonly once?: boolean
  /** Name of the file, if the source is a file. */
  readonly name?: string
  /** Time of the last change of the file, in milliseconds since 1970. */
  readonly lastModified?: number
  /**
   * Returns the bytes from `start` to before `end`. If the source ends earlier, there are fewer.
   *
   * @throws ClientError `ERR_SOURCE` if the source can't be read.
   */
  slice(start: number, end: number): BlobLike | Promise<BlobLike>
  /** Closes the file, or cancels the stream. */
  readonly close?: () => Promise<void>
}

/** Opens a source. Called once, when the upload begins. */
export type OpenSource = () => ByteSource | Promise<ByteSource>

/** Makes the error for a source that can't be read or that has changed. */
export function sourceError(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_SOURCE', message, { cause })
}

/**
 * Reads the bytes from `start` to before `end` into memory. If the source ends earlier, there are
 * fewer.
 *
 * @throws ClientError `ERR_SOURCE` if the source can't be read.
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
 * Reads a piece of a source into memory.
 *
 * @throws ClientError `ERR_SOURCE` if the piece can't be read, or yields more or fewer bytes than
 * its size.
 */
export async function readPiece(piece: BlobLike): Promise<Uint8Array> {
  const bytes = new Uint8Array(await piece.arrayBuffer().catch(failToRead))
  checkSize(bytes.byteLength, piece.size)
  return bytes
}

/**
 * Reads pieces one after the other, and checks that each yields as many bytes as its size. The size
 * is not always right: a Blob that `fs.openAsBlob` has made from a file of 4 GiB or more yields
 * only its size modulo 2^32 (Node 20 to 24). Without the check the server would get a truncated
 * file and accept it as complete.
 *
 * @throws ClientError `ERR_SOURCE` if a piece can't be read, after too few bytes of a piece, and
 * instead of the first chunk that would be too much.
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

/** Throws `ERR_SOURCE` if a piece has yielded more or fewer bytes than its size. */
function checkSize(size: number, announced: number): void {
  if (size !== announced) {
    throw sourceError(`the source yields ${size} of ${announced} bytes`)
  }
}

/**
 * Throws the error for a failed read, for example of a file that was moved after the user had
 * chosen it. The error of the platform becomes its `cause`.
 */
export function failToRead(cause: unknown): never {
  if (cause instanceof ClientError) throw cause
  throw sourceError('the source can not be read', cause)
}

/**
 * Copies bytes into a Blob. They are copied into new memory first, because browsers don't accept a
 * `SharedArrayBuffer` in the constructor of Blob.
 */
export function blobOf(bytes: Uint8Array): Blob {
  return new Blob([new Uint8Array(bytes)])
}
