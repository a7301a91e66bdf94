/**
 * Publishes a version: makes it the finished object of its key. Before that, the writer replaces
 * the record by a fence, which announces the publication to other processes. Afterwards it removes
 * the record.
 *
 * A large version is assembled by a multipart upload. Another writer that finds the fence aborts
 * that upload, and then reads the object to find out whether the publication was faster: the store
 * either completes an upload or aborts it.
 *
 * Two kinds of versions are written by one request: a small version of an absent object, because
 * that costs fewer requests, and an empty version of any object, because an assembled object has at
 * least one part. Such a request can't be aborted and may take effect late. Another writer that
 * finds this fence publishes the announced version itself, before it begins its own change.
 */
import { UploadError } from '../../errors.ts'
import { conflict } from '../conflict.ts'
import { assemble, copyObject, discardUpload } from './assemble.ts'
import { MAX_ATTEMPTS, backOff, isBucketError, repeat, translated } from './attempts.ts'
import { checkBase } from './base-check.ts'
import type { Condition } from './bucket.ts'
import type { S3Context } from './context.ts'
import { headersFor } from './long-state.ts'
import { finishedObject } from './object-version.ts'
import type { FinishedObject } from './object-version.ts'
import { inlineBytes } from './pieces.ts'
import type { Piece } from './pieces.ts'
import { readPieces } from './read.ts'
import { shortened } from './merge.ts'
import { deleteLater } from './delete-later.ts'
import type { RecordHandle } from './record-store.ts'
import type { Extent, KeyRecord, StoredRecord, VersionContent } from './record.ts'
import type { View } from './view.ts'

/** A version to publish, and the state of the key that it replaces. */
export interface Publication {
  readonly key: string
  /** The record of the key, as the writer knows it. */
  readonly handle: RecordHandle
  /** The finished object of the key when the writer was opened. */
  readonly view: Pick<View, 'object' | 'staleObject'>
  /** The version to publish. Its bytes are in `pieces`. */
  readonly version: Omit<VersionContent, 'extents'>
  readonly pieces: readonly Piece[]
  /**
   * The upload that readers see until the publication; null if they see the finished object, or the
   * resource is absent.
   */
  readonly shown: ShownContent | null
  /** Folder of the upload's data objects: see `KeyRecord.folder`. */
  readonly folder: string
  /** Removed versions that count as absent: see `KeyRecord.removed`. */
  readonly removed: readonly string[]
}

/** The content of a record, with the bytes of its inline extents. */
export interface ShownContent {
  readonly content: VersionContent
  readonly inline: Uint8Array
}

const NOTHING = new Uint8Array(0)

/**
 * Publishes a version, and removes the record.
 *
 * @throws RecordLostError when another writer has replaced the record.
 * @throws UploadError `ERR_CONFLICT` when another writer has replaced the object.
 * @throws UploadError `ERR_STORAGE_FULL`
 * @throws UploadError `ERR_STORAGE_UNAVAILABLE`. The version may still be published then: a request
 * may take effect late, or another writer repeats it because of the fence.
 */
export async function publish(context: S3Context, publication: Publication): Promise<void> {
  const { view, version } = publication
  const isSmall =
    version.size <= context.limits.maxInline && view.object === null && view.staleObject === null
  if (isSmall || version.size === 0) await publishAtOnce(context, publication)
  else await publishAssembled(context, publication)
  await publication.handle.remove()
}

async function publishAssembled(context: S3Context, publication: Publication): Promise<void> {
  const { key, version, handle, folder } = publication
  const name = context.layout.object(key)
  const headers = await headersFor(context, key, version, creationsOf(publication))
  const { pieces, made } = await shortened(context, publication.pieces, name, folder)
  const { upload, parts } = await assemble(context, name, headers, pieces, name)
  deleteLater(context, made)
  const unfenced = handle.current
  const condition = conditionOf(publication)
  try {
    await fence(context, publication, upload, null)
    await replacing(context, publication, () =>
      untilPublished(context, name, version.version, () =>
        context.bucket.completeMultipart(name, upload, parts, condition),
      ),
    )
  } catch (error) {
    // If the store has not confirmed the abort, the completion may still take effect. The fence
    // stays then: without it another writer would begin, and the late completion would replace its
    // version.
    if (!(await discardUpload(context, name, upload))) throw error
    if (await isPublished(context, name, version.version)) return
    await removeFence(publication, unfenced).catch(() => undefined)
    throw error
  }
}

/**
 * Publishes a small version of an absent object, or an empty version of any object, by one request.
 * The fence contains the version, so that another writer can repeat the request.
 */
async function publishAtOnce(context: S3Context, publication: Publication): Promise<void> {
  const { key, version, pieces } = publication
  const name = context.layout.object(key)
  const chunks: Uint8Array[] = []
  for await (const chunk of readPieces(context, name, pieces)) chunks.push(chunk)
  const headers = {
    ...(await headersFor(context, key, version, creationsOf(publication))),
    ...conditionOf(publication),
  }
  const next: VersionContent = { ...version, extents: [] }
  const unfenced = publication.handle.current
  await fence(context, publication, null, { content: next, inline: Buffer.concat(chunks) })
  try {
    await replacing(context, publication, () =>
      untilPublished(context, name, version.version, () =>
        context.bucket.put(name, chunks, headers),
      ),
    )
  } catch (error) {
    // A request without an answer may still take effect. The fence stays, so that the next writer
    // publishes this version before it begins its own.
    if (error instanceof UploadError && error.code === 'ERR_STORAGE_UNAVAILABLE') throw error
    const removed = [...publication.removed, version.version]
    await removeFence({ ...publication, removed }, unfenced).catch(() => undefined)
    throw error
  }
}

/**
 * Publishes the small or empty version that another writer has announced by a fence and perhaps not
 * published.
 *
 * @throws UploadError `ERR_CONFLICT` when the key has another object.
 */
export async function publishPending(
  context: S3Context,
  key: string,
  { record, inline }: StoredRecord,
  object: FinishedObject | null,
): Promise<void> {
  const next = record.pending?.next
  if (next === null || next === undefined) return
  const name = context.layout.object(key)
  const chunks = inlineBytes(next.extents, inline)
  const headers = await headersFor(context, key, next, [...record.removed, next.version])
  const condition: Condition = object === null ? { ifNoneMatch: '*' } : { ifMatch: object.etag }
  await untilPublished(context, name, next.version, () =>
    context.bucket.put(name, chunks, { ...headers, ...condition }),
  )
}

/**
 * Writes the fence. If it is the first record of the key, checks that the object still is the one
 * that the writer has read.
 */
async function fence(
  context: S3Context,
  { key, handle, view, shown, folder, removed, version }: Publication,
  upload: string | null,
  small: ShownContent | null,
): Promise<void> {
  const isFirst = handle.current === null
  const inline = Buffer.concat([shown?.inline ?? NOTHING, small?.inline ?? NOTHING])
  const next = small && withInline(small.content, shown?.inline.length ?? 0, small.inline.length)
  const record: Omit<KeyRecord, 'nonce'> = {
    phase: 'finishing',
    base: view.object?.version ?? null,
    content: shown?.content ?? null,
    folder,
    pending: { token: version.version, upload, next, isOpen: shown !== null },
    removed,
  }
  await handle.replace({ record, inline })
  if (isFirst) await checkBase(context, key, handle, view)
}

/**
 * Replaces the fence by a record without a pending publication, or removes the record if it has
 * nothing else to say. Called after a publication that has certainly failed.
 *
 * @param unfenced The record before the fence. While it is the current one, no fence was written.
 */
async function removeFence(
  { handle, shown, folder, removed, view }: Publication,
  unfenced: StoredRecord | null,
): Promise<void> {
  if (handle.current === unfenced) return
  if (shown === null && removed.length === 0) {
    await handle.remove()
    return
  }
  const record: Omit<KeyRecord, 'nonce'> = {
    phase: shown === null ? 'gone' : 'open',
    base: view.object?.version ?? null,
    content: shown?.content ?? null,
    folder,
    pending: null,
    removed,
  }
  await handle.replace({ record, inline: shown?.inline ?? NOTHING })
}

/**
 * Makes the request that publishes the version `token`, and repeats it up to `MAX_ATTEMPTS` times.
 * After each failure the object is read, because the request may have taken effect although its
 * answer was lost.
 *
 * @throws UploadError `ERR_CONFLICT` when the condition of the request does not hold.
 */
async function untilPublished(
  context: S3Context,
  name: string,
  token: string,
  request: () => Promise<unknown>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await request()
      return
    } catch (error) {
      if (await isPublished(context, name, token)) return
      if (isBucketError(error, 'precondition', 'missing')) throw conflict(error)
      const mayRepeat = isBucketError(error, 'unavailable', 'conflict')
      if (!mayRepeat || attempt === MAX_ATTEMPTS) throw translated(error)
      await backOff(attempt)
    }
  }
}

/**
 * Returns whether the version was published: the object has it, or has a later version that was
 * made from it and lists it in its `creations`.
 */
async function isPublished(context: S3Context, name: string, token: string): Promise<boolean> {
  const found = await repeat(() => context.bucket.head(name))
  if (found === null) return false
  const { version, creations } = finishedObject(found)
  return version === token || creations.includes(token)
}

/** Calls `work`, which replaces the object, after it was copied for the readers of this process. */
function replacing<T>(
  context: S3Context,
  { key, view }: Publication,
  work: () => Promise<T>,
): Promise<T> {
  if (view.object === null) return work()
  const name = context.layout.object(key)
  return context.pins.replace(name, (extent) => copyObject(context, name, extent), work)
}

/** Returns the condition that the object still is the one that the writer has read. */
function conditionOf({ view }: Publication): Condition {
  const replaced = view.object ?? view.staleObject
  return replaced === null ? { ifNoneMatch: '*' } : { ifMatch: replaced.etag }
}

/**
 * Returns the versions that the object lists as its `creations`: those that a removal later has to
 * list (`KeyRecord.removed`).
 */
function creationsOf({ view, removed, version }: Publication): readonly string[] {
  if (view.object === null) return [...removed, version.version]
  return [...new Set([...view.object.creations, ...removed])]
}

/**
 * Returns the content with one inline extent of `length` bytes, which begin at `offset` of the
 * record's inline bytes. Empty content has no extent.
 */
function withInline(content: VersionContent, offset: number, length: number): VersionContent {
  const extents: readonly Extent[] = length === 0 ? [] : [{ kind: 'inline', offset, length }]
  return { ...content, extents }
}
