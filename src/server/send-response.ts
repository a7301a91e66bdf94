/**
 * Sends a response over HTTP/1.1 or HTTP/2, and leaves the connection either usable for the next
 * request or closed, even if the client has not sent all of its content.
 */
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
 * Sends the response to its end. The connection of a client that receives nothing for `idleTimeout`
 * milliseconds is aborted, because the response would otherwise keep a version of the resource and
 * its file open for ever. 0 means no limit.
 *
 * @throws Error of the storage if the content can't be read to its end.
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
 * Ends an answer whose head is set, and discards the unread content of the request. The answer is
 * sent first, because many clients stop sending only when they have received it.
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
  // A client that still waits for 100 Continue has sent nothing to discard, and Node closes its
  // connection.
  if (!isAwaitingContinue(req)) {
    if ('flushHeaders' in res) res.flushHeaders()
    await linger(req)
  }
  res.end()
}

/**
 * Sends content piece by piece. The head is sent with the first piece and not before, so that a
 * storage that fails at the first read is still answered with 500. After the head, a failure can
 * only abort the answer.
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
    // Check inside the loop: leaving it closes the reader of the storage, which happens only once
    // iteration has begun.
    if (!isOpen(res)) return
    size += piece.byteLength
    if (size > length) throw wrongSize(`more than ${length}`, length)
    if (!isBegun) sendHead(req, res, response)
    isBegun = true
    // Only `false` asks to wait. Some adapters return undefined, and never emit `drain`.
    const hasRoom: unknown = content.write(piece)
    if (hasRoom === false) await untilDrained(res, idleTimeout)
  }
  if (!isOpen(res)) return
  if (size < length) throw wrongSize(String(size), length)
  if (!isBegun) sendHead(req, res, response)
}

/**
 * Makes the error for content of another size than its `Content-Length`. A client would wait for
 * missing bytes, and treat surplus bytes as the next answer.
 */
function wrongSize(found: string, announced: number): Error {
  return new Error(`the storage gave ${found} bytes of content; expected ${announced}`)
}

/**
 * Sets the status and the fields. Node sends them with the first bytes of content, or with the end
 * of the answer.
 */
function sendHead(
  req: HttpRequest,
  res: HttpResponse,
  { status, headers, body }: HandlerResponse,
): void {
  res.statusCode = status
  const isHttp2 = streamOf(res) !== null
  // HTTP/2 has no reason phrases (RFC 9113 §8.3.2).
  if (isUnassigned(status) && !isHttp2) res.statusMessage = 'Incomplete Content'
  // Node caches its own Date for up to a second, so that Last-Modified could be later (RFC 9110
  // §8.8.2.1).
  res.setHeader('Date', formatHttpDate(new Date()))
  for (const [name, value] of Object.entries(headers)) {
    // HTTP/2 has no `Connection` field, because other streams use the connection (RFC 9113 §8.2.2).
    if (!isHttp2 || name !== 'Connection') setField(res, name, value)
  }
  if (body !== undefined && body !== '') res.setHeader('X-Content-Type-Options', 'nosniff')
  if (typeof body === 'string' || body instanceof Uint8Array) {
    res.setHeader('Content-Length', Buffer.byteLength(body))
  }
  if (!isHttp2 && !hasEnded(req) && !canReuse(req)) res.setHeader('Connection', 'close')
}

/**
 * Sets a field. If an earlier middleware of the app has set `Cache-Control`,
 * `Content-Security-Policy` or `Content-Disposition`, its value is kept, because the app has
 * decided it on purpose. To the first two, `value` is added. Any other field is replaced.
 */
function setField(res: HttpResponse, name: string, value: string): void {
  const earlier = res.getHeader(name)
  if (earlier === undefined) res.setHeader(name, value)
  else if (name === 'Cache-Control') res.setHeader(name, `${String(earlier)}, ${unlessSaid(value)}`)
  // Add the policy, because a browser enforces each of several policies.
  else if (name === 'Content-Security-Policy') res.setHeader(name, `${String(earlier)}, ${value}`)
  else if (name !== 'Content-Disposition') res.setHeader(name, value)
}

/**
 * Returns what is added to the `Cache-Control` of the app. The app may let caches store a finished
 * resource, so only `no-transform` is added. An upload in progress and an error stay `no-store`,
 * because a cached HEAD would report an old offset.
 */
function unlessSaid(value: string): string {
  return value.includes('no-store') ? value : 'no-transform'
}

/**
 * Resolves when more can be written, or when the connection is closed. Aborts the answer if the
 * client receives nothing for `idleTimeout` milliseconds.
 */
function untilDrained(res: HttpResponse, idleTimeout: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = idleTimeout === 0 ? undefined : setTimeout(() => abort(res), idleTimeout).unref()
    const end = (): void => {
      clearTimeout(timer)
      res.off('drain', end).off('close', end)
      resolve()
    }
    res.on('drain', end).on('close', end)
  })
}

/**
 * Aborts an HTTP/2 stream that is not sent within `idleTimeout` milliseconds. A client may give the
 * stream no flow control window, and the stream would hold its answer, however small, for ever.
 * Over HTTP/1.1 the buffers of the kernel take a small answer.
 */
function abortIfStuck(res: HttpResponse, idleTimeout: number): void {
  const stream = streamOf(res)
  if (stream === null || idleTimeout === 0 || stream.writableFinished || stream.closed) return
  const timer = setTimeout(() => abort(res), idleTimeout).unref()
  const stop = (): void => clearTimeout(timer)
  stream.once('finish', stop).once('close', stop)
}
