/**
 * Assembles a version inside the object store, as the parts of a multipart upload: large ranges of
 * existing objects are copied by the store, and small ones are read and uploaded.
 */
import { isBucketError, repeat } from './attempts.ts'
import type { ObjectHeaders, Part } from './bucket.ts'
import type { S3Context } from './context.ts'
import { lengthOf } from './pieces.ts'
import type { Piece } from './pieces.ts'
import { planParts } from './plan.ts'
import type { PlannedPart } from './plan.ts'
import { VanishedError, readPieces } from './read.ts'
import type { DataExtent, ObjectExtent } from './record.ts'

/** A multipart upload whose parts are all stored, ready to be completed. */
export interface Assembly {
  /** Id of the multipart upload. */
  readonly upload: string
  readonly parts: readonly Part[]
}

/**
 * Uploads and copies all parts of an object named `target`. Ranges of the finished object are read
 * from the object named `object`. If a part fails, the multipart upload is aborted.
 *
 * @throws VanishedError when an object with source bytes was replaced or removed.
 * @throws UploadError `ERR_STORAGE_FULL` or `ERR_STORAGE_UNAVAILABLE`
 */
export async function assemble(
  context: S3Context,
  target: string,
  headers: ObjectHeaders,
  pieces: readonly Piece[],
  object: string,
): Promise<Assembly> {
  const plan = planParts(pieces, context.limits)
  const upload = await repeat(() => context.bucket.createMultipart(target, headers))
  const parts: Part[] = []
  const queue = plan.entries()
  // Each worker takes the next part from the same iterator, so that `concurrency` requests are made
  // at a time and no part is made twice.
  const worker = async (): Promise<void> => {
    for (const [index, part] of queue) {
      const number = index + 1
      parts.push({ number, etag: await makePart(context, target, upload, number, part, object) })
    }
  }
  try {
    await Promise.all(Array.from({ length: context.limits.concurrency }, worker))
  } catch (error) {
    await discardUpload(context, target, upload)
    throw error
  }
  return { upload, parts: parts.toSorted((a, b) => a.number - b.number) }
}

/**
 * Aborts a multipart upload, which then can't be completed any more. Returns false if the store did
 * not confirm that; the sweep aborts the upload later.
 */
export async function discardUpload(
  { bucket }: S3Context,
  target: string,
  upload: string,
): Promise<boolean> {
  return repeat(() => bucket.abortMultipart(target, upload)).then(
    () => true,
    () => false,
  )
}

/** Copies the object of an extent to a new data object, and returns the name of that. */
export async function copyObject(
  context: S3Context,
  object: string,
  extent: ObjectExtent,
): Promise<string> {
  return (await assembleData(context, crypto.randomUUID(), [extent], object)).name
}

/** Assembles pieces in a new data object, and returns its only extent. */
export async function assembleData(
  context: S3Context,
  folder: string,
  pieces: readonly Piece[],
  object: string,
): Promise<DataExtent> {
  const target = context.layout.data(folder, crypto.randomUUID())
  const headers = { contentType: null, contentDisposition: null, metadata: {} }
  const { upload, parts } = await assemble(context, target, headers, pieces, object)
  try {
    await repeat(() => context.bucket.completeMultipart(target, upload, parts))
  } catch (error) {
    // The answer to an earlier attempt may have been lost. That attempt has completed the upload,
    // and this one finds no upload: `missing`. The data object then exists.
    const isMade =
      isBucketError(error, 'missing') && (await repeat(() => context.bucket.head(target)))
    if (isMade === false || isMade === null) throw error
  }
  return { kind: 'data', name: target, offset: 0, length: lengthOf(pieces) }
}

/** Makes one part, and returns its entity tag. */
async function makePart(
  context: S3Context,
  target: string,
  upload: string,
  number: number,
  part: PlannedPart,
  object: string,
): Promise<string> {
  const { bucket } = context
  if (part.kind === 'copy') {
    const source = sourceOf(part.source, object)
    return repeat(() => bucket.uploadPartCopy(target, upload, number, source)).catch(vanished)
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of readPieces(context, object, part.pieces)) chunks.push(chunk)
  return repeat(() => bucket.uploadPart(target, upload, number, chunks))
}

/**
 * Returns the source of a copy. A finished object has a condition, because another process may
 * replace it. A data object has none, because it is written only once.
 */
function sourceOf(extent: DataExtent | ObjectExtent, object: string) {
  const range = { start: extent.offset, end: extent.offset + extent.length }
  if (extent.kind === 'data') return { key: extent.name, range }
  const { etag: ifMatch, versionId } = extent
  return { key: object, ifMatch, range, ...(versionId === null ? {} : { versionId }) }
}

/**
 * Throws `VanishedError` if the source of a copy does not exist any more, and otherwise the error
 * itself.
 */
function vanished(error: unknown): never {
  if (isBucketError(error, 'precondition', 'missing')) throw new VanishedError({ cause: error })
  throw error
}
