/**
 * Ends a write in the order that keeps a wrong file from being published: verifies the digest of
 * the whole resource, calls `onComplete`, commits, and calls `onPublished`.
 */
import { UploadError, hasEffect } from '../errors.ts'
import { dispositionName } from '../fields/content-disposition.ts'
import { parseDigest, type Digest } from '../fields/digest.ts'
import { RefusedError, callHook, type Hooks } from '../hooks.ts'
import { prepareFinalResponse, type PreparedResponse } from './app-response.ts'
import { findMismatch } from './digest-check.ts'
import type { Events } from './events.ts'
import type { HashingService } from './hashing.ts'
import type { ResourceInfo, ResourceState, StorageAdapter, Writer } from '../storage/adapter.ts'

/** A write whose data has been written completely, but not committed. */
export interface PendingWrite {
  readonly key: string
  readonly writer: Writer
  /** State of the resource after the write. */
  readonly state: ResourceState
  /** Length of the resource after the write, in bytes. */
  readonly size: number
  /** Whether any byte differs from the base, the version that the write started from. */
  readonly changed: boolean
  /**
   * The digests that `state.reprDigest` names, if they were computed while the data arrived;
   * otherwise null.
   */
  readonly digests: readonly Digest[] | null
}

/** The services that `finishWrite` needs. */
export interface FinishOptions {
  readonly storage: StorageAdapter
  readonly events: Events
  /** Returns whether another process has taken over the lock of the resource. */
  readonly isLost: () => boolean
  readonly hooks: Hooks
  readonly hashing: HashingService
}

/** Result of a finished write. */
export interface Outcome {
  /** The current version. */
  readonly info: ResourceInfo
  /**
   * Whether the resource is complete for the first time, for which the answer is `createdStatus`.
   */
  readonly created: boolean
  /** The response that `onComplete` returned; null if the app leaves it to the server. */
  readonly final: PreparedResponse | null
}

/**
 * Commits a write. Before a completion it verifies the `Repr-Digest` and calls `onComplete`. A
 * write that changes nothing is rolled back instead, so that the resource keeps its entity tag and
 * the app is not called again.
 *
 * @throws UploadError `ERR_REPR_DIGEST` when the digest does not match. If a persist write
 * continued an upload, the upload is removed; after an atomic write the resource is as it was
 * before.
 * @throws RefusedError from `onComplete`. The bytes are removed likewise, unless the app keeps
 * them.
 * @throws UploadError `ERR_BUSY` when too many digests are being computed. The bytes stay as after
 * any other error.
 * @throws Error of any other kind from the app or the storage. The bytes of a persist write stay
 * stored, and the next PATCH that completes the resource, even one without data, tries again.
 */
export async function finishWrite(write: PendingWrite, options: FinishOptions): Promise<Outcome> {
  const { key, writer, state, changed } = write
  const { base } = writer
  if (base !== null && !changed && isSameState(base, state)) {
    await writer.rollback()
    return { info: base, created: false, final: null }
  }
  if (!state.complete) return { info: await writer.commit(state), created: false, final: null }
  const final = await verify(write, options)
  const info = await options.events.publish({ ...options, key, base }, () => writer.commit(state))
  return { info, created: base?.everComplete !== true, final }
}

/**
 * Whether two states are the same for clients. Owner and history are not compared, because clients
 * see neither.
 */
function isSameState(a: ResourceState, b: ResourceState): boolean {
  return (
    a.complete === b.complete &&
    a.completeLength === b.completeLength &&
    a.contentType === b.contentType &&
    a.contentDisposition === b.contentDisposition &&
    a.reprDigest === b.reprDigest
  )
}

/**
 * Verifies a completion, and decides what happens to the bytes if the digest or the app rejects it.
 */
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
    // If this fails too, the first error is reported. The caller's `keep` stores the bytes of a
    // persist write anyway.
    else if (keepsBytes(error, write)) await leaveIncomplete(write).catch(() => {})
    throw error
  }
}

/**
 * Whether the error rejects the bytes: a refusal by the app or a digest mismatch. Any other
 * `UploadError` says nothing about the bytes, because a hook may use the storage itself and
 * rethrow, for example, its `ERR_STORAGE_FULL`.
 */
function isRejection(error: unknown): boolean {
  if (error instanceof RefusedError && error.keep) return false
  return hasEffect(error, 'reject')
}

/**
 * Makes the argument of `onComplete`. `read` reads from the writer, because no reader can see the
 * version yet.
 */
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

/** Whether the bytes stay as an upload that a later request can complete. */
function keepsBytes(error: unknown, { writer }: PendingWrite): boolean {
  return error instanceof RefusedError || writer.transaction === 'persist'
}

/** Stores all bytes and leaves the resource incomplete, so that the next request completes it. */
async function leaveIncomplete({ writer, state }: PendingWrite): Promise<void> {
  if (writer.base?.complete) return
  const everComplete = writer.base?.everComplete ?? false
  await writer.commit({ ...state, complete: false, everComplete })
}

/**
 * Undoes a rejected write. After an atomic write the resource is as it was: finished, or an upload
 * that a PUT would have replaced. A persist write has continued the rejected upload, so the upload
 * is removed with its earlier segments.
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

/**
 * Compares the resource with its `Repr-Digest`. Reads it again, unless it was hashed while it
 * arrived.
 */
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
    detail: `the ${wrong} of the ${size} bytes differs from the announced digest`,
  })
}
