/** The Express middleware: turns `req` into a plain request, and a plain response into `res`. */
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

/** A Connect or Express middleware, for `app.use('/files', …)`. */
export interface Middleware<Request> {
  (req: Request, res: HttpResponse, next: Next): void
  /**
   * Stops gracefully, before the process ends: running uploads store what has arrived, answer 503
   * `ERR_CLOSING` and release their locks; later ones are refused with it, and GET and HEAD still work.
   * Resolves when the work of all uploads has ended, that of clients that have left included, or after
   * `timeout` milliseconds (default 10000): a hook or a storage that still works then is abandoned.
   */
  close(timeout?: number): Promise<void>
}

type Next = (error?: unknown) => void

/** Milliseconds that `close` waits by default, as long as Docker waits after SIGTERM before it kills. */
const CLOSE_TIMEOUT = 10_000
/** The methods that `close` and the limits on uploads hold for. */
const UPLOADS: readonly unknown[] = ['PATCH', 'PUT']

/**
 * Creates the middleware that answers every request below its mount.
 *
 * What is the client's fault is answered as `application/problem+json`; any other error goes to
 * `next(error)`. A request for the mount itself and a CORS preflight are passed on.
 *
 * Without a type argument, `key` and the hooks get the `Request` of Express, with all that the app and its
 * middlewares add to it.
 *
 * @throws TypeError for a wrong option, naming it and its value.
 */
export function partialUpload(
  options: PartialUploadOptions<ExpressRequest>,
): Middleware<HttpRequest>
/** For hooks that name another type of request, such as `http2.Http2ServerRequest`. */
export function partialUpload<Request extends HttpRequest>(
  options: PartialUploadOptions<Request>,
): Middleware<Request>
export function partialUpload<Request extends HttpRequest>(
  options: PartialUploadOptions<Request>,
): Middleware<Request> {
  const settings = resolveSettings(options)
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
    await Promise.race([
      Promise.all([stopWork(), storage.flush?.()]),
      pause(Math.max(0, end - performance.now()), null, { ref: false }),
    ])
  }

  return Object.assign(middleware, { close })
}

/** What answers the requests of one middleware. */
interface Service<Request> {
  readonly options: PartialUploadOptions<Request>
  readonly settings: Settings
  readonly handle: Handler
  readonly admission: AdmissionControl
}

/**
 * Answers one request, or passes it on. The order matters: an earlier request of the same connection comes first,
 * and a request that is not ours is not judged by our rules.
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

/** The answer to a request; null for a request that is passed on to the app. */
async function answer<Request extends HttpRequest>(
  req: Request,
  res: HttpResponse,
  { options, settings, handle, admission }: Service<Request>,
): Promise<HandlerResponse | null> {
  checkFieldLines(req)
  const path = pathBelowMount(req)
  const key = path === null ? null : keyOf(req, path, options)
  if (key === null) return null
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
    // The upload counts for as long as it costs: its hook or hash may outlive the connection.
    void Promise.allSettled([work, closeOf(res)]).then(leave)
  }
  return work
}

function keyOf<Request>(
  req: Request,
  path: string,
  { key }: PartialUploadOptions<Request>,
): string | null {
  return key === undefined ? path : stringOrNull('key', key(req, path))
}

/** The storage behind the limits on owners and copies. */
function withLimits(storage: StorageAdapter, settings: Settings): StorageAdapter {
  const limited = hasQuota(storage, settings) ? withQuota(storage, settings) : storage
  return withCopyLimit(limited, settings.maxCopies)
}

function hasQuota(storage: StorageAdapter, limits: QuotaLimits): storage is ListableStorage {
  const isLimited = limits.maxIncompletePerOwner > 0 || limits.maxIncompleteBytesPerOwner > 0
  return isLimited && storage.listIncomplete !== undefined
}

/** Starts the work in the background, and returns a function that stops it and resolves once it is idle. */
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

/** No request is answered with an error of the background, so the process reports it. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}

/** Checks what an option of the app has returned, because the app may be plain JavaScript. */
function stringOrNull(option: string, value: unknown): string | null {
  if (value === null || typeof value === 'string') return value
  if (value instanceof Object && 'then' in value) {
    // A rejection that has no handler would end the process.
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

function closeSignalOf(res: HttpResponse): AbortSignal {
  const controller = new AbortController()
  void closeOf(res).then(() => controller.abort())
  return controller.signal
}

function toProblem(error: unknown): HandlerResponse {
  if (error instanceof UploadError) return problemResponse(error)
  throw error
}

/** A lost connection has no client to answer, and a response that was started can only be aborted. */
function fail(error: unknown, req: HttpRequest, res: HttpResponse, next: Next): void {
  if (error instanceof ConnectionLostError || res.headersSent || !isOpen(res)) {
    abort(res)
    return
  }
  discardContent(req, res)
  // With `undefined` or 'route' for an error, Express would call the next handler as if none had occurred.
  next(error instanceof Object ? error : new Error(`the request failed: ${String(error)}`))
}
