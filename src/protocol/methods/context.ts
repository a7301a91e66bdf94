/** The services that all methods share, the lock around every change, and the check of preconditions. */
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

/** The services and settings of a handler. */
export interface MethodContext {
  readonly storage: StorageAdapter
  readonly locker: Locker
  readonly settings: Settings
  /** Whether one URL may name a different resource for each user. Shared caches must then not store answers. */
  readonly isPrivate: boolean
  readonly hashing: HashingService
  readonly events: Events
}

/** Answers the requests of one HTTP method. */
export type Method = (request: HandlerRequest, context: MethodContext) => Promise<HandlerResponse>

/**
 * Checks the preconditions without the lock, because a request that can't succeed has to be refused before the
 * client sends its content (RFC 9110 §10.1.1) and before the request interrupts another writer. `fieldsFor` returns
 * the fields whose conditions are evaluated for the current version.
 *
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
 * Runs `work` while this request holds the lock of the resource. When another request takes over, the body of this
 * one fails with `ERR_INTERRUPTED`. `stall` is the time in milliseconds that the holder before may wait for its
 * client until this request takes over. `work` receives a function that returns whether another process has taken
 * over the lock.
 *
 * @throws UploadError `ERR_LOCKED` when the lock was not released within `lockTimeout`.
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
    // Only a holder that waits for its client is stalled. One that hashes or stores makes progress.
    request.onWait(
      () => lock.idle(),
      () => lock.busy(),
    )
    return await work(isLost)
  } catch (error) {
    if (isLost()) throw interrupted()
    throw await withReceived(error, request.key, storage)
  } finally {
    lock.release()
  }
}

/**
 * Awaits `work`, and checks the preconditions again with `recheck` if the storage reports that another writer has
 * changed the resource first. The request is then answered as if it had arrived after the other one.
 *
 * @throws UploadError `ERR_PRECONDITION`, or the `ERR_CONFLICT` of the storage if the preconditions still hold.
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

/** Adds the stored length to the error, which may include bytes of this request. It saves the client a HEAD. */
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
    return error // Report the first error without the stored length.
  }
}

function interrupted(): UploadError {
  return new UploadError('ERR_INTERRUPTED', {
    detail:
      'another request took over, because no bytes arrived for too long or because it removes the resource',
    headers: { 'Retry-After': '1', Connection: 'close' },
  })
}

/** Calls `onCreate` before the resource is created. Throws as `callHook`. */
export async function callOnCreate(
  { base }: Writer,
  { completeLength: length, contentType, contentDisposition }: ResourceState,
  { key, hooks }: HandlerRequest,
): Promise<void> {
  if (base !== null) return
  const name = dispositionName(contentDisposition)
  await callHook(() => hooks.onCreate({ key, length, contentType, name }))
}
