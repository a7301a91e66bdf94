/** The Express middleware: turns `req` into a plain request, and a plain response into `res`. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { UploadError } from './errors.ts'
import { createHandler } from './handler.ts'
import type { Hooks } from './hooks.ts'
import { ConnectionLostError, type HandlerResponse, type RequestHeaders } from './http.ts'
import { IncomingBody } from './incoming.ts'
import { keyOfPath, keySegments } from './key.ts'
import { lockerOf } from './lock.ts'
import type { PartialUploadOptions } from './options.ts'
import { boundContent, sendResponse } from './outgoing.ts'
import { problemResponse } from './problem.ts'
import { resolveSettings } from './settings.ts'

/** A Connect or Express middleware, for `app.use('/files', …)`. */
export type Middleware<Request> = (req: Request, res: ServerResponse, next: Next) => void

type Next = (error?: unknown) => void

/**
 * Creates the middleware that answers every request below its mount.
 *
 * What is the client's fault is answered as `application/problem+json`; any other error goes to
 * `next(error)`. A request for the mount itself and a CORS preflight are passed on.
 *
 * @throws TypeError for a wrong option, naming it and its value.
 */
export function partialUpload<Request extends IncomingMessage = IncomingMessage>(
  options: PartialUploadOptions<Request>,
): Middleware<Request> {
  const settings = resolveSettings(options)
  const { storage, locker = lockerOf(storage), key: keyOf = (_req, path) => path } = options
  const handle = createHandler({
    storage,
    locker,
    settings,
    createHash: (algorithm) => createHash(algorithm.replace('-', '')),
  })

  async function answer(req: Request): Promise<HandlerResponse | null> {
    const key = keyOf(req, pathBelowMount(req))
    if (key === null) return null
    keySegments(key)
    const body = new IncomingBody(req, settings.idleTimeout)
    return handle({
      method: req.method ?? '',
      key,
      headers: requestHeaders(req),
      body,
      readAll: () => body.readAll(),
      stop: (reason) => body.stop(reason),
      hooks: bindHooks(req, options),
    })
  }

  async function respond(req: Request, res: ServerResponse, next: Next): Promise<void> {
    const response = isPreflight(req) ? null : await answer(req).catch(toProblem)
    if (response === null) next()
    else await sendResponse(req, res, response)
  }

  return (req, res, next) => {
    respond(req, res, next).catch((error: unknown) => fail(error, req, res, next))
  }
}

/** A CORS preflight is for the `cors` middleware, which may come later. */
function isPreflight(req: IncomingMessage): boolean {
  return req.method === 'OPTIONS' && 'access-control-request-method' in req.headers
}

/** Throws as `keyOfPath`. A target may come in absolute form (RFC 9112 §3.2.2). */
function pathBelowMount(req: IncomingMessage): string | null {
  const [path = ''] = (req.url ?? '').replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  if (path === '/' || path === '') return null
  const key = keyOfPath(path)
  keySegments(key)
  return key
}

function requestHeaders(req: IncomingMessage): RequestHeaders {
  return {
    get: (name) => {
      const value = req.headers[name]
      return value === undefined ? null : String(value)
    },
    // From the raw lines: of some fields `req.headers` has only the first.
    all: (name) =>
      req.rawHeaders.filter(
        (_, index, lines) => index % 2 === 1 && lines[index - 1]?.toLowerCase() === name,
      ),
  }
}

function bindHooks<Request extends IncomingMessage>(
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

/** Nobody is there to be told of a lost connection, and a response that has begun can only be cut. */
function fail(error: unknown, req: IncomingMessage, res: ServerResponse, next: Next): void {
  if (error instanceof ConnectionLostError || res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  boundContent(req, res)
  next(error)
}
