/** Sends a response over Node, and leaves the connection either usable or closed. */
import type { Writable } from 'node:stream'
import { formatHttpDate } from '../fields/http-date.ts'
import type { HandlerResponse } from '../protocol/http.ts'
import { isUnassigned } from '../settings.ts'
import { isAwaitingContinue } from './expect-continue.ts'
import { canReuse, linger, lingerOnStream } from './lingering-close.ts'
import {
  abort,
  hasEnded,
  isOpen,
  streamOf,
  type HttpRequest,
  type HttpResponse,
} from './transport.ts'

/**
 * Sends the response to the end. A client that takes nothing of it for `idleTimeout` milliseconds is cut off,
 * because it would otherwise keep a version of the resource and its file open for ever; 0: never. Rejects when
 * the content can't be read to its end.
 */
export async function sendResponse(
  req: HttpRequest,
  res: HttpResponse,
  response: HandlerResponse,
  idleTimeout: number,
): Promise<void> {
  const { body } = response
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    if (!isOpen(res)) return
    sendHead(req, res, response)
    await endResponse(req, res, req.method === 'HEAD' ? undefined : body)
  } else {
    await sendAll(req, res, { ...response, body }, idleTimeout)
    if (isOpen(res)) await endResponse(req, res, undefined)
  }
  abortIfStuck(res, idleTimeout)
}

/**
 * Ends an answer whose head is set, and discards the unread content of the request. The answer goes out first,
 * because a client may wait for it before it stops sending.
 */
async function endResponse(
  req: HttpRequest,
  res: HttpResponse,
  body: string | Uint8Array | undefined,
): Promise<void> {
  const content: Writable = res
  const stream = streamOf(res)
  if (stream !== null || hasEnded(req)) {
    content.end(body)
    if (stream !== null && !hasEnded(req)) void lingerOnStream(req, stream)
    return
  }
  if (body) content.write(body)
  // Node closes a connection whose client was never asked to continue.
  if (!isAwaitingContinue(req)) {
    if ('flushHeaders' in res) res.flushHeaders()
    await linger(req)
  }
  res.end()
}

/**
 * Sends content piece by piece. The head waits for the first piece, because a storage that fails before it can
 * still be answered with 500. A failure after the head can only abort the answer.
 */
async function sendAll(
  req: HttpRequest,
  res: HttpResponse,
  response: HandlerResponse & { readonly body: AsyncIterable<Uint8Array> },
  idleTimeout: number,
): Promise<void> {
  const content: Writable = res
  const length = Number(response.headers['Content-Length'])
  let size = 0
  let isBegun = false
  for await (const piece of response.body) {
    // Checked after the first piece: a return closes the reader only if its iteration has begun.
    if (!isOpen(res)) return
    size += piece.byteLength
    if (size > length) throw wrongSize(`more than ${length}`, length)
    if (!isBegun) sendHead(req, res, response)
    isBegun = true
    // Some adapters return undefined, and never emit `drain`.
    const hasRoom: unknown = content.write(piece)
    if (hasRoom === false) await untilDrained(res, idleTimeout)
  }
  if (!isOpen(res)) return
  if (size < length) throw wrongSize(String(size), length)
  if (!isBegun) sendHead(req, res, response)
}

/** A client would wait for missing bytes, and treat surplus bytes as the next answer. */
function wrongSize(found: string, announced: number): Error {
  return new Error(`the storage gave ${found} bytes of content; expected ${announced}`)
}

/** Sets the status and the fields. Node sends them with the first bytes of content, or at the end. */
function sendHead(
  req: HttpRequest,
  res: HttpResponse,
  { status, headers, body }: HandlerResponse,
): void {
  res.statusCode = status
  const isHttp2 = streamOf(res) !== null
  // HTTP/2 has no reason phrases (RFC 9113 §8.3.2).
  if (isUnassigned(status) && !isHttp2) res.statusMessage = 'Incomplete Content'
  // Node's own Date may be a second old: Last-Modified would lie after it (RFC 9110 §8.8.2.1).
  res.setHeader('Date', formatHttpDate(new Date()))
  for (const [name, value] of Object.entries(headers)) {
    // `Connection` is about the whole connection, which other streams use (RFC 9113 §8.2.2).
    if (!isHttp2 || name !== 'Connection') setField(res, name, value)
  }
  if (body !== undefined && body !== '') res.setHeader('X-Content-Type-Options', 'nosniff')
  if (typeof body === 'string' || body instanceof Uint8Array) {
    res.setHeader('Content-Length', Buffer.byteLength(body))
  }
  if (!isHttp2 && !hasEnded(req) && !canReuse(req)) res.setHeader('Connection', 'close')
}

/**
 * Sets a field. What an earlier middleware of the app has set for caching, scripts and file names is kept and
 * added to, because the app decided it on purpose; every other field is replaced.
 */
function setField(res: HttpResponse, name: string, value: string): void {
  const earlier = res.getHeader(name)
  if (earlier === undefined) res.setHeader(name, value)
  else if (name === 'Cache-Control') res.setHeader(name, `${String(earlier)}, ${unlessSaid(value)}`)
  // A browser enforces each of several policies.
  else if (name === 'Content-Security-Policy') res.setHeader(name, `${String(earlier)}, ${value}`)
  else if (name !== 'Content-Disposition') res.setHeader(name, value)
}

/**
 * What is added to the `Cache-Control` of an app: it may let caches keep a finished resource. An upload
 * in progress and an error are never stored, because HEAD would report an old offset.
 */
function unlessSaid(value: string): string {
  return value.includes('no-store') ? value : 'no-transform'
}

/** Resolves when more can be written, or when the connection is closed. Aborts a client that takes too long. */
function untilDrained(res: HttpResponse, idleTimeout: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = idleTimeout === 0 ? undefined : setTimeout(() => abort(res), idleTimeout).unref()
    const settle = (): void => {
      clearTimeout(timer)
      res.off('drain', settle).off('close', settle)
      resolve()
    }
    res.on('drain', settle).on('close', settle)
  })
}

/**
 * The content of a small answer waits in the stream for a client that opens no window for it. Over
 * HTTP/1.1 the kernel has room for it.
 */
function abortIfStuck(res: HttpResponse, idleTimeout: number): void {
  const stream = streamOf(res)
  if (stream === null || idleTimeout === 0 || stream.writableFinished || stream.closed) return
  const timer = setTimeout(() => abort(res), idleTimeout).unref()
  const settle = (): void => clearTimeout(timer)
  stream.once('finish', settle).once('close', settle)
}
