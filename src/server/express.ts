/**
 * The Express middleware. It turns `req` into a plain `HandlerRequest` for the protocol, sends the
 * plain `HandlerResponse` over `res`, and decides which requests and errors belong to the app.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Request as ExpressRequest } from 'express'
import { UploadError } from '../errors.ts'
import { expireRegularly } from './expire.ts'
import { AdmissionControl } from './admission.ts'
import { bindHooks, bindNotifications } from './bind-hooks.ts'
import { withCopyLimit } from './copy-limit.ts'
import { withFreeLock } from './free-lock.ts'
import { createHandler, type Handler } from '../protocol/handler.ts'
import { Events } from '../protocol/events.ts'
import { HashingService } from '../protocol/hashing.ts'
import { ConnectionLostError, type HandlerResponse } from '../protocol/http.ts'
import { IncomingBody } from './request-body.ts'
import { keySegments } from '../storage/key.ts'
import { lockerOf, type Locker } from '../storage/lock.ts'
import type { PartialUploadOptions } from '../options.ts'
import { discardContent } from './lingering-close.ts'
import { sendResponse } from './send-response.ts'
import { problemResponse } from './problem.ts'
import type { ListableStorage, QuotaLimits } from './quota-account.ts'
import { withQuota } from './quota.ts'
import { resolveSettings, type Settings } from '../settings.ts'
import type { StorageAdapter } from '../storage/adapter.ts'
import { waitForEarlierRequests } from './pipelining.ts'
import { checkFieldLines, requestHeaders, requestTrailers } from './request-fields.ts'
import { isPassedOn, isPreflight, pathBelowMount } from './request-target.ts'
import { exemptFromRequestTimeout } from './request-timeout.ts'
import {
  abort,
  announcedLength,
  isClosed,
  isOpen,
  type HttpRequest,
  type HttpResponse,
} from './transport.ts'

/** The middleware that `partialUpload` returns, for Express or Connect: `app.use('/files', …)`. */
export interface Middleware<Request> {
  /** Answers a request, or calls `next()` for one that belongs to the app. */
  (req: Request, res: HttpResponse, next: Next): void
  /**
   * Stops gracefully before the process ends. Running uploads store the bytes that have arrived,
   * are answered with 503 `ERR_CLOSING`, and release their locks. Later uploads are refused with
   * the same error; GET and HEAD still work.
   *
   * Resolves when the work of all uploads has ended, including those whose client has disconnected,
   * or after `timeout` milliseconds (default 10000). A hook or a storage that is still working then
   * is abandoned.
   */
  close(timeout?: number): Promise<void>
}

/** Passes a request, or the error that it caused, on to the app. */
type Next = (error?: unknown) => void

/** Milliseconds that `close` waits by default. Docker sends SIGKILL this long after SIGTERM. */
const CLOSE_TIMEOUT = 10_000
/** The methods that count as uploads, for the limits on uploads and for `close`. */
const UPLOADS: readonly unknown[] = ['PATCH', 'PUT']

/**
 * Creates the middleware that answers every request below its mount.
 *
 * An error that the client can correct is answered with a problem document (RFC 9457); any other
 * error goes to `next(error)`. A request for the mount itself and a CORS preflight are passed on
 * with `next()`.
 *
 * Without a type argument, `key` and the hooks get the `Request` of Express, with the properties
 * that the app has declared on it, such as `req.user`.
 *
 * @throws TypeError for a wrong option. The message names the option and its value.
 */
export function partialUpload(
  options: PartialUploadOptions<ExpressRequest>,
): Middleware<HttpRequest>
/**
 * Creates the middleware for `key` and hooks that name another type of request, such as
 * `http2.Http2ServerRequest`.
 */
export function partialUpload<Request extends HttpRequest>(
  options: PartialUploadOptions<Request>,
): Middleware<Request>
export function partialUpload<Request extends HttpRequest>(
  options: PartialUploadOptions<Request>,
): Middleware<Request> {
  const settings = resolveSettings(options)
  // By default the locks belong to the storage object, so that two middlewares over one storage
  // exclude each other.
  const { storage, locker = lockerOf(storage) } = options
  const events = new Events({
    storage,
    hooks: bindNotifications(options),
    withLock: withFreeLock(locker),
  })
  const handle = createHandler({
    events,
    storage: withLimits(storage, settings),
    locker,
    settings,
    // With either option one URL may be a different file for each user, which a shared cache must
    // not store.
    isPrivate: options.owner !== undefined || options.key !== undefined,
    hashing: new HashingService(settings.maxHashings),
  })
  const admission = new AdmissionControl(settings)
  const service = { options, settings, handle, admission }
  const stopWork = startWork(settings, storage, locker, events)

  function middleware(req: Request, res: HttpResponse, next: Next): void {
    respond(req, res, next, service).catch((error: unknown) => fail(error, req, res, next))
  }

  async function close(timeout = CLOSE_TIMEOUT): Promise<void> {
    const end = performance.now() + timeout
    await admission.close(timeout)
    // In the rest of the time the background work ends, and the storage writes the bytes that it
    // has in memory.
    await Promise.race([
      Promise.all([stopWork(), storage.flush?.()]),
      pause(Math.max(0, end - performance.now()), null, { ref: false }),
    ])
  }

  return Object.assign(middleware, { close })
}

/** The parts of one middleware, which are created once. */
interface Service<Request> {
  readonly options: PartialUploadOptions<Request>
  readonly settings: Settings
  readonly handle: Handler
  readonly admission: AdmissionControl
}

/**
 * Answers one request, or passes it on. The order matters: earlier requests of the same connection
 * are answered first, and a request that belongs to the app is passed on before any rule of this
 * package can refuse it.
 */
async function respond<Request extends HttpRequest>(
  req: Request,
  res: HttpResponse,
  next: Next,
  service: Service<Request>,
): Promise<void> {
  if (!(await waitForEarlierRequests(req, res))) return
  const isForApp = isPreflight(req) || isPassedOn(req)
  const response = isForApp ? null : await answer(req, res, service).catch(toProblem)
  if (response === null) next()
  else await sendResponse(req, res, response, service.settings.idleTimeout)
}

/**
 * Returns the answer to a request; null for one that is passed on to the app.
 *
 * @throws UploadError for an error that the client can correct, and any other error of the app or
 * the storage.
 */
async function answer<Request extends HttpRequest>(
  req: Request,
  res: HttpResponse,
  { options, settings, handle, admission }: Service<Request>,
): Promise<HandlerResponse | null> {
  checkFieldLines(req)
  const path = pathBelowMount(req)
  const key = path === null ? null : keyOf(req, path, options)
  if (key === null) return null
  // Check the key again, because the option `key` may have added a name that the user chose, such
  // as `..`.
  keySegments(key)
  const body = new IncomingBody(req, settings)
  const owner = stringOrNull('owner', options.owner?.(req) ?? null)
  const stop = (reason: Error): void => body.stop(reason)
  const leave = UPLOADS.includes(req.method) ? admission.admit({ owner, stop }) : null
  const work = handle({
    method: req.method ?? '',
    key,
    owner,
    headers: requestHeaders(req),
    trailers: requestTrailers(req),
    contentLength: announcedLength(req),
    body,
    readAll: () => body.readAll(),
    onWait: (begin, end) => body.onWait(begin, end),
    stop,
    closeSignal: () => closeSignalOf(res),
    hooks: bindHooks(req, options),
  })
  if (leave !== null) {
    exemptFromRequestTimeout(req)
    // The upload counts until its work has ended, because its hook or digest may run longer than
    // the connection.
    void Promise.allSettled([work, closeOf(res)]).then(leave)
  }
  return work
}

/** Returns the storage key; null if the option `key` passes the request on. */
function keyOf<Request>(
  req: Request,
  path: string,
  { key }: PartialUploadOptions<Request>,
): string | null {
  return key === undefined ? path : stringOrNull('key', key(req, path))
}

/** Returns the storage, wrapped in the quotas of owners and the limit on copies. */
function withLimits(storage: StorageAdapter, settings: Settings): StorageAdapter {
  const limited = hasQuota(storage, settings) ? withQuota(storage, settings) : storage
  return withCopyLimit(limited, settings.maxCopies)
}

/** Whether a quota is set. `resolveSettings` refuses one over a storage that can't list uploads. */
function hasQuota(storage: StorageAdapter, limits: QuotaLimits): storage is ListableStorage {
  const isLimited = limits.maxIncompletePerOwner > 0 || limits.maxIncompleteBytesPerOwner > 0
  return isLimited && storage.listIncomplete !== undefined
}

/**
 * Starts the background work: the expiry of uploads and the maintenance of the storage. Returns a
 * function that stops it, and that resolves when no work is running any more.
 */
function startWork(
  { expireAfter }: Settings,
  storage: StorageAdapter,
  locker: Locker,
  events: Events,
): () => Promise<void> {
  const stopMaintenance = storage.maintain?.(withFreeLock(locker))
  const stopExpiry =
    expireAfter === 0 ? null : expireRegularly({ storage, locker, expireAfter }, warn)
  const stopEvents = events.start(warn)
  return async () => {
    stopExpiry?.()
    await Promise.all([stopMaintenance?.(), stopEvents()])
  }
}

/**
 * Reports an error of the background work as a process warning, because no request waits for an
 * answer.
 */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}

/**
 * Checks what the option `key` or `owner` has returned, because an app in plain JavaScript can
 * return anything. An `async` function is the usual mistake.
 */
function stringOrNull(option: string, value: unknown): string | null {
  if (value === null || typeof value === 'string') return value
  if (value instanceof Object && 'then' in value) {
    // Handle a rejection of the promise, because an unhandled one would end the process.
    Promise.resolve(value).catch(() => undefined)
    throw new TypeError(`${option} must return a string or null, not a promise`)
  }
  throw new TypeError(`${option} must return a string or null, not ${typeof value}`)
}

/** Resolves when the response is sent, or its connection is closed. */
function closeOf(res: HttpResponse): Promise<void> {
  return new Promise((resolve) => {
    if (isClosed(res)) resolve()
    else res.once('close', resolve)
  })
}

/** Returns a signal that aborts when the response is sent, or its connection is closed. */
function closeSignalOf(res: HttpResponse): AbortSignal {
  const controller = new AbortController()
  void closeOf(res).then(() => controller.abort())
  return controller.signal
}

/** Returns the problem document for an `UploadError`, and throws any other error. */
function toProblem(error: unknown): HandlerResponse {
  if (error instanceof UploadError) return problemResponse(error)
  throw error
}

/**
 * Ends a request that failed. A lost connection has no client to answer, and a response whose head
 * was sent can only be aborted. Any other error goes to the error handler of the app.
 */
function fail(error: unknown, req: HttpRequest, res: HttpResponse, next: Next): void {
  if (error instanceof ConnectionLostError || res.headersSent || !isOpen(res)) {
    abort(res)
    return
  }
  discardContent(req, res)
  // Wrap a thrown value that is not an object: Express ignores an error `undefined`, and treats
  // 'route' as a command.
  next(error instanceof Object ? error : new Error(`the request failed: ${String(error)}`))
}
