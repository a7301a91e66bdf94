/** Sends a response over Node, and leaves the connection either usable or closed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HandlerResponse } from './http.ts'
import { isUnassigned } from './settings.ts'

/** Content that nobody reads is taken in up to here, so that the connection stays usable. */
const DRAIN_SIZE = 1024 * 1024
/** How long that may take, in milliseconds. */
const DRAIN_TIME = 2000

/** Sends the response to the end. Rejects when the content can't be read to its end. */
export async function sendResponse(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: HandlerResponse,
): Promise<void> {
  if (res.destroyed || res.writableEnded) {
    await discard(body)
    return
  }
  res.statusCode = status
  if (isUnassigned(status)) res.statusMessage = 'Incomplete Content'
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  if (body instanceof Uint8Array) res.setHeader('Content-Length', body.byteLength)
  const isUnread = !req.complete
  if (isUnread && !canDrain(req)) res.setHeader('Connection', 'close')

  if (body === undefined || req.method === 'HEAD') await discard(body)
  else if (body instanceof Uint8Array) res.write(body)
  else await sendAll(res, body)

  if (isUnread && !isAwaitingContinue(req)) await drain(req, res)
  res.end()
}

async function sendAll(res: ServerResponse, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) {
    if (res.destroyed) return
    if (!res.write(chunk)) await untilDrained(res)
  }
}

/** Resolves when more can be written, or nothing can any more. */
function untilDrained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      res.off('drain', settle).off('close', settle)
      resolve()
    }
    res.on('drain', settle).on('close', settle)
  })
}

async function discard(body: HandlerResponse['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) return
  await body[Symbol.asyncIterator]().return?.()
}

/** Whether the rest of the content is small enough to read past it. */
function canDrain(req: IncomingMessage): boolean {
  return !(Number(req.headers['content-length']) > DRAIN_SIZE)
}

/** `prepareServer` waits for a first read to say 100 Continue; Node closes the connection instead. */
function isAwaitingContinue(req: IncomingMessage): boolean {
  return Object.hasOwn(req, '_read')
}

/**
 * Reads past the rest of the content while the client reads the response, which is out already. To
 * close at once would reset the connection, and the client could lose the response (RFC 9112 §9.6).
 */
function drain(req: IncomingMessage, res: ServerResponse): Promise<void> {
  res.flushHeaders()
  return new Promise((resolve) => {
    let size = 0
    const timer = setTimeout(giveUp, DRAIN_TIME).unref()

    function count(chunk: Uint8Array): void {
      size += chunk.byteLength
      if (size > DRAIN_SIZE && canDrain(req)) giveUp()
    }
    function giveUp(): void {
      settle()
      req.socket.destroySoon()
    }
    function settle(): void {
      clearTimeout(timer)
      req.off('data', count).off('end', settle).off('close', settle)
      resolve()
    }
    req.on('data', count).on('end', settle).on('close', settle)
    req.resume()
  })
}
