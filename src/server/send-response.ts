/** Sends a response over Node, and leaves the connection either usable or closed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { formatHttpDate } from '../fields/http-date.ts'
import type { HandlerResponse } from '../protocol/http.ts'
import { isUnassigned } from '../settings.ts'
import { canReuse, linger } from './lingering-close.ts'

/**
 * Sends the response to the end. A client that takes nothing of it for `idleTimeout` milliseconds is cut
 * off, so that it does not hold what is read for ever; 0: never. Rejects when the content
 * can't be read to its end.
 */
export async function sendResponse(
  req: IncomingMessage,
  res: ServerResponse,
  response: HandlerResponse,
  idleTimeout: number,
): Promise<void> {
  const { body } = response
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    if (!isOpen(res)) return
    sendHead(req, res, response)
    if (req.complete) {
      res.end(req.method === 'HEAD' ? undefined : body)
      return
    }
    if (body && req.method !== 'HEAD') res.write(body)
  } else {
    await sendAll(req, res, { ...response, body }, idleTimeout)
    if (!isOpen(res)) return
  }
  if (!req.complete && !isAwaitingContinue(req)) {
    res.flushHeaders()
    await linger(req)
  }
  res.end()
}

/** The head waits for the first piece: until then another answer can be given to an error. */
async function sendAll(
  req: IncomingMessage,
  res: ServerResponse,
  response: HandlerResponse & { readonly body: AsyncIterable<Uint8Array> },
  idleTimeout: number,
): Promise<void> {
  // Fewer bytes than announced would leave the client waiting for the rest: end() throws then.
  res.strictContentLength = true
  let isBegun = false
  for await (const piece of response.body) {
    // Only now: returning early closes what is read only if reading has begun.
    if (!isOpen(res)) return
    if (!isBegun) sendHead(req, res, response)
    isBegun = true
    if (!res.write(piece)) await untilDrained(res, idleTimeout)
  }
  if (!isBegun && isOpen(res)) sendHead(req, res, response)
}

function sendHead(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: HandlerResponse,
): void {
  res.statusCode = status
  if (isUnassigned(status)) res.statusMessage = 'Incomplete Content'
  // Node's own Date may be a second old: Last-Modified would lie after it (RFC 9110 §8.8.2.1).
  res.setHeader('Date', formatHttpDate(new Date()))
  for (const [name, value] of Object.entries(headers)) setField(res, name, value)
  if (typeof body === 'string' || body instanceof Uint8Array) {
    res.setHeader('Content-Length', Buffer.byteLength(body))
  }
  if (!req.complete && !canReuse(req)) res.setHeader('Connection', 'close')
}

/** Lists to which ours is added (RFC 9111 §5.2; of several security policies each holds). */
const ADDED = ['Cache-Control', 'Content-Security-Policy']

/** What the app has said before of caching, of scripts and of file names stays. */
function setField(res: ServerResponse, name: string, value: string): void {
  const earlier = res.getHeader(name)
  if (earlier === undefined) res.setHeader(name, value)
  else if (ADDED.includes(name)) res.setHeader(name, `${String(earlier)}, ${value}`)
  else if (name !== 'Content-Disposition') res.setHeader(name, value)
}

/** Whether somebody waits for an answer that nobody else has given. */
function isOpen(res: ServerResponse): boolean {
  return !res.destroyed && !res.writableEnded
}

/** Resolves when more can be written, or nothing can any more. */
function untilDrained(res: ServerResponse, idleTimeout: number): Promise<void> {
  return new Promise((resolve) => {
    const timer =
      idleTimeout === 0 ? undefined : setTimeout(() => res.destroy(), idleTimeout).unref()
    const settle = (): void => {
      clearTimeout(timer)
      res.off('drain', settle).off('close', settle)
      resolve()
    }
    res.on('drain', settle).on('close', settle)
  })
}

/** `prepareServer` waits for a first read to say 100 Continue; Node closes the connection instead. */
function isAwaitingContinue(req: IncomingMessage): boolean {
  return Object.hasOwn(req, '_read')
}
