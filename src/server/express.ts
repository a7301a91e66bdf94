/** The Express middleware: turns `req` into a plain request, and a plain response into `res`. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Request as ExpressRequest } from 'express'
import { UploadError } from '../errors.ts'
import { expireRegularly } from './expire.ts'
import { AdmissionControl } from './admission.ts'
import { withCopyLimit } from './copy-limit.ts'
import { withFreeLock } from './free-lock.ts'
import { createHandler } from '../protocol/handler.ts'
import { HashingService } from '../protocol/hashing.ts'
import type { Hooks } from '../hooks.ts'
import { ConnectionLostError, type HandlerResponse, type RequestHeaders } from '../protocol/http.ts'
import { IncomingBody } from './request-body.ts'
import { invalidKey, keyOfPath, keySegments } from '../storage/key.ts'
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

/** Names and values of the field lines that Node reads: 1,000, unless `prepareServer` lifts the limit. */
const MAX_LISTED_HEADERS = 2000
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
  const { storage, locker = lockerOf(storage), key: keyOf = (_req, path) => path } = options
  const handle = createHandler({
    storage: withLimits(storage, settings),
    locker,
    settings,
    isPrivate: options.owner !== undefined || options.key !== undefined,
    hashing: new HashingService(settings.maxHashings),
  })
  const admission = new AdmissionControl(settings)
  const stopExpiry = expireBy(settings, storage, locker)
  const stopMaintenance = storage.maintain?.(withFreeLock(locker))

  async function answer(req: Request, res: HttpResponse): Promise<HandlerResponse | null> {
    checkFieldLines(req)
    const path = pathBelowMount(req)
    const key = path === null ? null : stringOrNull('key', keyOf(req, path))
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

  async function respond(req: Request, res: HttpResponse, next: Next): Promise<void> {
    if (!(await waitForEarlierRequests(req, res))) return
    const response =
      isPreflight(req) || isPassedOn(req) ? null : await answer(req, res).catch(toProblem)
    if (response === null) next()
    else await sendResponse(req, res, response, settings.idleTimeout)
  }

  function middleware(req: Request, res: HttpResponse, next: Next): void {
    respond(req, res, next).catch((error: unknown) => fail(error, req, res, next))
  }

  async function close(timeout = CLOSE_TIMEOUT): Promise<void> {
    stopExpiry()
    const end = performance.now() + timeout
    await admission.close(timeout)
    await Promise.race([
      Promise.all([stopMaintenance?.(), storage.flush?.()]),
      pause(Math.max(0, end - performance.now()), null, { ref: false }),
    ])
  }

  return Object.assign(middleware, { close })
}

/** The storage, as far as the limits let it be used. */
function withLimits(storage: StorageAdapter, settings: Settings): StorageAdapter {
  const limited = hasQuota(storage, settings) ? withQuota(storage, settings) : storage
  return withCopyLimit(limited, settings.maxCopies)
}

function hasQuota(storage: StorageAdapter, limits: QuotaLimits): storage is ListableStorage {
  const isLimited = limits.maxIncompletePerOwner > 0 || limits.maxIncompleteBytesPerOwner > 0
  return isLimited && storage.listIncomplete !== undefined
}

function expireBy({ expireAfter }: Settings, storage: StorageAdapter, locker: Locker): () => void {
  if (expireAfter === 0) return () => undefined
  return expireRegularly({ storage, locker, expireAfter }, (error) => {
    process.emitWarning(error instanceof Error ? error : String(error))
  })
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

/** A CORS preflight is for the `cors` middleware, which may come later. */
function isPreflight(req: HttpRequest): boolean {
  return req.method === 'OPTIONS' && 'access-control-request-method' in req.headers
}

/** The decoded path; null for the mount itself, which is a folder. Throws as `keyOfPath`. */
function pathBelowMount(req: HttpRequest): string | null {
  const target = req.url ?? ''
  if (target.includes('#')) throw invalidKey('the request target has a fragment')
  if (target === '*') throw invalidKey(`${req.method} does not go with the request target *`)
  const path = pathOf(req)
  if (path === '/' || path === '') return null
  const key = keyOfPath(path)
  keySegments(key)
  return key
}

/** The path below the mount, without the query. A target may come in absolute form (RFC 9112 §3.2.2). */
function pathOf(req: HttpRequest): string {
  const [path = ''] = (req.url ?? '').replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  return path
}

/** GET and HEAD of a folder, which an app may list, and `OPTIONS *`, which is about the whole server. */
function isPassedOn(req: HttpRequest): boolean {
  const { method = '' } = req
  if (method === 'OPTIONS') return req.url === '*'
  return ['GET', 'HEAD'].includes(method) && /[^/]\/$/.test(pathOf(req))
}

/** Refuses field lines that a proxy may have read differently, or that Node has read only in part. */
function checkFieldLines(req: HttpRequest): void {
  const { rawHeaders, socket } = req
  const server: unknown = 'server' in socket ? socket.server : null
  const isUnlimited =
    server instanceof Object && 'maxHeadersCount' in server && server.maxHeadersCount === 0
  if (rawHeaders.length > MAX_LISTED_HEADERS && !isUnlimited) {
    throw new UploadError('ERR_HEADER_LIMIT', {
      detail: 'more than 1,000 field lines, of which Node drops some',
    })
  }
  if (
    rawHeaders.filter((line, index) => index % 2 === 0 && line.toLowerCase() === 'host').length > 1
  ) {
    throw new UploadError('ERR_FIELD', { detail: 'the request has two Host fields' })
  }
}

function requestHeaders(req: HttpRequest): RequestHeaders {
  return {
    get: (name) => {
      const value = req.headers[name]
      return value === undefined ? null : String(value)
    },
    all: (name) => fieldLines(req, name),
  }
}

/** The trailer fields, which Node adds while it reads. HTTP/1.1 has them in chunked content alone. */
function requestTrailers(req: HttpRequest): RequestHeaders | null {
  if (req.httpVersionMajor === 1 && req.headers['transfer-encoding'] === undefined) return null
  const all = (name: string): readonly string[] => {
    // An adapter of another platform may have none.
    const lines: readonly string[] | undefined = req.rawTrailers
    return valuesOf(name, lines ?? [])
  }
  return { get: (name) => (all(name).length === 0 ? null : all(name).join(', ')), all }
}

/** From the raw lines, because of some fields `req.headers` has only the first. */
function fieldLines({ rawHeaders, headers }: HttpRequest, name: string): readonly string[] {
  if (rawHeaders.length > 0) return valuesOf(name, rawHeaders)
  // An adapter may give nothing but `headers`.
  const value = headers[name]
  return value === undefined ? [] : [value].flat()
}

function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  return lines.filter((_, index) => index % 2 === 1 && lines[index - 1]?.toLowerCase() === name)
}

function bindHooks<Request extends HttpRequest>(
  req: Request,
  { onCreate, onComplete }: PartialUploadOptions<Request>,
): Hooks {
  return {
    onCreate: async (resource) => onCreate?.(req, resource),
    onComplete: async (resource) => (await onComplete?.(req, resource)) ?? null,
  }
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
