/**
 * What the methods share: the services, the check of preconditions, and the lock around every
 * change.
 */
import { UploadError, traitsOf } from '../../errors.ts'
import { dispositionName } from '../../fields/content-disposition.ts'
import { callHook } from '../../hooks.ts'
import type { Events } from '../events.ts'
import type { HashingService } from '../hashing.ts'
import type { HandlerRequest, HandlerResponse, RequestHeaders } from '../http.ts'
import type { Locker } from '../../storage/lock.ts'
import { progressMembers, uploadLength } from '../resource-state.ts'
import { checkWriteConditions, hasWriteCondition } from '../preconditions.ts'
import type { Settings } from '../../settings.ts'
import type { ResourceInfo, ResourceState, StorageAdapter, Writer } from '../../storage/adapter.ts'

/** The services and settings with which the requests of one middleware are answered. */
export interface MethodContext {
  readonly storage: StorageAdapter
  readonly locker: Locker
  readonly settings: Settings
  /**
   * Whether one URL may name a different resource for each user. Shared caches must then not store
   * answers.
   */
  readonly isPrivate: boolean
  readonly hashing: HashingService
  readonly events: Events
}

/** Answers the requests of one HTTP method. */
export type Method = (request: HandlerRequest, context: MethodContext) => Promise<HandlerResponse>

/**
 * Checks the preconditions before the lock is acquired and the content is read: a request that
 * can't succeed should cost the client no upload (RFC 9110 §10.1.1), and must not interrupt another
 * writer. The result can become outdated, so the methods check again under the lock.
 *
 * @param fieldsFor Returns the fields whose conditions are evaluated, given the current version.
 * @throws UploadError `ERR_PRECONDITION` or `ERR_PRECONDITION_REQUIRED`.
 */
export async function precheckConditions(
  { headers, key }: HandlerRequest,
  context: MethodContext,
  fieldsFor: (info: ResourceInfo | null) => RequestHeaders = () => headers,
): Promise<void> {
  if (hasWriteCondition(headers)) {
    const info = await context.storage.head(key)
    checkWriteConditions(fieldsFor(info), info)
    return
  }
  if (!context.settings.requirePreconditions) return
  throw new UploadError('ERR_PRECONDITION_REQUIRED', {
    detail: 'expected If-Match, If-None-Match or If-Unmodified-Since',
  })
}

/**
 * Runs `work` while this request holds the lock of the resource. If another request takes over the
 * lock, the content of this one ends with `ERR_INTERRUPTED`.
 *
 * @param stall Silence of the client of the current holder, in milliseconds, after which this
 * request takes over.
 * @param work Gets a function that returns whether another process has taken over the lock.
 * @throws UploadError `ERR_LOCKED` if the lock was not released within `lockTimeout`,
 * `ERR_INTERRUPTED` after a takeover, and the errors of `work`.
 */
export async function withLock<T>(
  request: HandlerRequest,
  { locker, settings, storage }: MethodContext,
  stall: number,
  work: (isLost: () => boolean) => Promise<T>,
): Promise<T> {
  const lock = await locker.acquire(request.key, { wait: settings.lockTimeout, stall })
  const isLost = (): boolean => lock.isLost === true
  try {
    lock.onRevoke(() => request.stop(interrupted()))
    // Only the time in which this request waits for its client counts as silence. Hashing and
    // storing is progress.
    request.onWait(
      () => lock.idle(),
      () => lock.busy(),
    )
    return await work(isLost)
  } catch (error) {
    // Without the lock a storage refuses each change, with errors that say nothing about the cause.
    if (isLost()) throw interrupted()
    throw await withReceived(error, request.key, storage)
  } finally {
    lock.release()
  }
}

/**
 * Awaits `work`. If the storage reports that another writer has changed the resource first, it
 * checks the preconditions again with `recheck`, so that the request is answered as if it had
 * arrived after the other one: a client with `If-Match` expects 412, with the new entity tag, and
 * not the 409 of the storage.
 *
 * @throws UploadError `ERR_PRECONDITION`, or the `ERR_CONFLICT` of the storage if the preconditions
 * still hold.
 */
export async function recheckOnConflict<T>(
  work: Promise<T>,
  recheck: () => Promise<void>,
): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof UploadError && error.code === 'ERR_CONFLICT') await recheck()
    throw error
  }
}

/**
 * Returns the error with the stored length, which saves the client a HEAD. It is read after the
 * write has ended, so that it includes the bytes of this request that were kept.
 */
async function withReceived(
  error: unknown,
  key: string,
  storage: StorageAdapter,
): Promise<unknown> {
  if (!(error instanceof UploadError) || !traitsOf(error.code).progress) return error
  const { code, message: detail, status, headers, cause } = error
  try {
    const info = await storage.head(key)
    const { received, length } = progressMembers(info)
    const members = { received, length, ...error.members }
    const fields = { ...headers, ...(status === 409 ? uploadLength(info) : {}) }
    return new UploadError(code, { detail, status, headers: fields, members, cause })
  } catch {
    return error // The storage fails as well: report the first error, without the stored length.
  }
}

/** Makes the error for a request that has lost its lock to another one. */
function interrupted(): UploadError {
  return new UploadError('ERR_INTERRUPTED', {
    detail:
      'another request took over, because no bytes arrived for too long or because it removes the resource',
    headers: { 'Retry-After': '1', Connection: 'close' },
  })
}

/**
 * Calls `onCreate` if the write creates the resource, before any byte is stored. Throws as
 * `callHook`.
 */
export async function callOnCreate(
  { base }: Writer,
  { completeLength: length, contentType, contentDisposition }: ResourceState,
  { key, hooks }: HandlerRequest,
): Promise<void> {
  if (base !== null) return
  const name = dispositionName(contentDisposition)
  await callHook(() => hooks.onCreate({ key, length, contentType, name }))
}
