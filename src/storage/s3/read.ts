/**
 * Reads pieces from the object store and from memory. A body that is cut off is continued at the
 * next byte, by another request.
 */
import { MAX_ATTEMPTS, backOff, isBucketError, translated } from './attempts.ts'
import type { RequestOptions } from './bucket.ts'
import type { S3Context } from './context.ts'
import { blockBytes } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { DataExtent, ObjectExtent } from './record.ts'

const ZEROS = new Uint8Array(65_536)

/** Thrown when the object with a range of bytes was replaced or removed. */
export class VanishedError extends Error {
  override readonly name = 'VanishedError'

  constructor(options?: ErrorOptions) {
    super('the version was replaced or removed while it was read', options)
  }
}

/**
 * Reads all bytes of the pieces, in their order. `object` is the name of the finished object.
 *
 * @throws VanishedError when the object of a piece was replaced or removed.
 * @throws UploadError `ERR_STORAGE_UNAVAILABLE` when the store does not answer several attempts in
 * a row.
 * @throws BucketError `aborted` when the signal of the options aborts.
 */
export async function* readPieces(
  context: S3Context,
  object: string,
  pieces: readonly Piece[],
  options: RequestOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const piece of pieces) yield* readPiece(context, object, piece, options)
}

/** Reads all bytes of one piece. */
async function* readPiece(
  context: S3Context,
  object: string,
  piece: Piece,
  options: RequestOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  switch (piece.kind) {
    case 'zeros':
      for (let at = 0; at < piece.length; at += ZEROS.length)
        yield ZEROS.subarray(0, Math.min(ZEROS.length, piece.length - at))
      return
    case 'block':
      // A block may have been stored, and its memory freed, since the pieces were listed.
      if (piece.block.stored === null) yield* blockBytes(piece)
      else
        yield* readObject(
          context,
          piece.block.stored,
          { ...piece, kind: 'data', name: piece.block.stored },
          options,
        )
      return
    case 'inline':
      throw new Error('inline bytes have to be turned into a block first')
    case 'data':
      yield* readObject(context, piece.name, piece, options)
      return
    case 'object':
      yield* readObject(context, object, piece, options)
  }
}

/**
 * Reads a range of an object. After a cut it requests the rest, up to `MAX_ATTEMPTS` times in a row
 * without progress.
 */
async function* readObject(
  { bucket }: S3Context,
  name: string,
  extent: DataExtent | ObjectExtent,
  options: RequestOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0
  for (let attempt = 1; ; attempt += 1) {
    const before = done
    try {
      const range = { start: extent.offset + done, end: extent.offset + extent.length }
      const found = await bucket.get(name, { ...options, range, ...conditionOf(extent) })
      if (found === null) throw new VanishedError()
      for await (const chunk of found.body) {
        done += chunk.length
        yield chunk
      }
      if (done === extent.length) return
      throw new Error(`the object store sent ${done} of ${extent.length} bytes`)
    } catch (error) {
      if (isBucketError(error, 'precondition')) throw new VanishedError({ cause: error })
      // Only consecutive attempts without progress count, because a long body may be cut many
      // times.
      if (done > before) attempt = 1
      if (attempt === MAX_ATTEMPTS || !isBucketError(error, 'unavailable', 'conflict'))
        throw translated(error)
      await backOff(attempt)
    }
  }
}

/**
 * Returns the condition and the version of a read. A data object is written only once, and needs
 * none.
 */
function conditionOf(extent: DataExtent | ObjectExtent) {
  if (extent.kind === 'data') return {}
  return extent.versionId === null
    ? { ifMatch: extent.etag }
    : { ifMatch: extent.etag, versionId: extent.versionId }
}
