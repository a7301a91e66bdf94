/** The end of a write: check the whole, ask the app, commit, notify the app. */
import { UploadError, hasEffect } from '../errors.ts'
import { dispositionName } from '../fields/content-disposition.ts'
import { parseDigest, type Digest } from '../fields/digest.ts'
import { RefusedError, callHook, type Hooks } from '../hooks.ts'
import { prepareFinalResponse, type PreparedResponse } from './final-response.ts'
import { findMismatch } from './digest-check.ts'
import { notifyPublished } from './events.ts'
import type { HashingService } from './hashing.ts'
import type { ResourceInfo, ResourceState, StorageAdapter, Writer } from '../storage/adapter.ts'

/** A write whose data has all been written. */
export interface PendingWrite {
  readonly key: string
  readonly writer: Writer
  /** What the resource becomes. */
  readonly state: ResourceState
  /** Bytes that the resource has now. */
  readonly size: number
  /** Whether any byte differs from the base. */
  readonly changed: boolean
  /** The digests that `state.reprDigest` names, if they were computed on the way; else null. */
  readonly digests: readonly Digest[] | null
}

/** What it takes to finish a write. */
export interface FinishOptions {
  readonly storage: StorageAdapter
  /** Whether the lock of the resource has gone to another process. */
  readonly isLost: () => boolean
  readonly hooks: Hooks
  readonly hashing: HashingService
}

/** What came of a write. */
export interface Outcome {
  /** The current version. */
  readonly info: ResourceInfo
  /** The resource is complete for the first time. */
  readonly created: boolean
  /** What the app wants the final response to be; null for the usual one. */
  readonly final: PreparedResponse | null
}

/**
 * Commits a write, or ends it without a trace if it changes nothing. A completion is checked against
 * its `Repr-Digest` and shown to the app first.
 *
 * @throws UploadError `ERR_REPR_DIGEST`: the upload that a persist write continued is removed; after an
 * atomic write the resource is as it was before.
 * @throws RefusedError from the app: likewise, unless the app keeps the bytes.
 * @throws UploadError `ERR_BUSY` when the digest of the whole can't be computed now, as the next one.
 * @throws Error of the app or the storage, of any other kind: what a persist write has stored stays,
 * and the next PATCH that leaves all bytes there, even one without data, tries again.
 */
export async function finishWrite(write: PendingWrite, options: FinishOptions): Promise<Outcome> {
  const { writer, state, changed } = write
  const { base } = writer
  if (base !== null && !changed && isSameState(base, state)) {
    await writer.rollback()
    return { info: base, created: false, final: null }
  }
  const final = state.complete ? await verify(write, options) : null
  const info = await writer.commit(state)
  if (state.complete) await notifyPublished({ key: write.key, base, info }, options)
  return { info, created: state.complete && base?.everComplete !== true, final }
}

function isSameState(a: ResourceState, b: ResourceState): boolean {
  return (
    a.complete === b.complete &&
    a.completeLength === b.completeLength &&
    a.contentType === b.contentType &&
    a.contentDisposition === b.contentDisposition &&
    a.reprDigest === b.reprDigest
  )
}

async function verify(
  write: PendingWrite,
  options: FinishOptions,
): Promise<PreparedResponse | null> {
  try {
    await checkReprDigest(write, options)
    const final = await callHook(() => options.hooks.onComplete(finishedResource(write)))
    return prepareFinalResponse(final)
  } catch (error) {
    if (isRejection(error)) await discard(write, options)
    // If this fails as well, the first error is reported, and a persist write keeps its bytes anyway.
    else if (keepsBytes(error, write)) await leaveIncomplete(write).catch(() => {})
    throw error
  }
}

/**
 * True for a refusal or a wrong digest. Any other `UploadError` rejects nothing: a hook may call the storage
 * and let, say, `ERR_STORAGE_FULL` pass.
 */
function isRejection(error: unknown): boolean {
  if (error instanceof RefusedError && error.keep) return false
  return hasEffect(error, 'reject')
}

function finishedResource({ key, writer, state, size }: PendingWrite) {
  return {
    key,
    size,
    contentType: state.contentType,
    name: dispositionName(state.contentDisposition),
    previous: writer.base?.complete ? writer.base : null,
    read: (start = 0, end = size) => writer.read(Math.min(start, size), Math.min(end, size)),
  }
}

function keepsBytes(error: unknown, { writer }: PendingWrite): boolean {
  return error instanceof RefusedError || writer.transaction === 'persist'
}

/** Leaves all bytes stored and the resource incomplete: the next request to it completes it. */
async function leaveIncomplete({ writer, state }: PendingWrite): Promise<void> {
  if (writer.base?.complete) return
  const everComplete = writer.base?.everComplete ?? false
  await writer.commit({ ...state, complete: false, everComplete })
}

/**
 * Takes a rejected write back. An atomic write leaves the resource as it was: a finished one, or an upload
 * that a PUT would have replaced. A persist write has continued the upload that was rejected, so the
 * upload is removed with its earlier segments.
 */
async function discard(
  { key, writer }: PendingWrite,
  { storage, isLost }: FinishOptions,
): Promise<void> {
  await writer.rollback()
  if (writer.transaction === 'persist' && writer.base !== null) {
    await storage.remove(key, { isLost })
  }
}

async function checkReprDigest(
  { writer, state, size, digests }: PendingWrite,
  { hashing }: FinishOptions,
): Promise<void> {
  if (state.reprDigest === null) return
  const announced = parseDigest(state.reprDigest)
  const algorithms = announced.map(({ algorithm }) => algorithm)
  const actual = digests ?? (await hashing.digest(writer.read(0, size), { size, algorithms }))
  const wrong = findMismatch(announced, actual)
  if (wrong === null) return
  throw new UploadError('ERR_REPR_DIGEST', {
    detail: `the ${size} bytes do not have the ${wrong} that was announced`,
  })
}
