/**
 * Limits the time of all requests except uploads. Node's own `requestTimeout` has no exceptions,
 * and its default of 300 s would end each longer upload with 408. So the server's value is set to
 * 0, and each request that has content gets a timer here, which an upload clears.
 */
import type { Server } from 'node:net'
import type { HttpRequest, HttpResponse } from './transport.ts'

/** The timer of each request that has content. */
const TIMERS = new WeakMap<HttpRequest, NodeJS.Timeout>()

/** The answer that Node itself sends when `requestTimeout` is over. */
const RESPONSE = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/**
 * Replaces the server's `requestTimeout` by a timer of the same length for each request. 0 means no
 * limit.
 */
export function limitRequestTimes(server: Server & { requestTimeout: number }): void {
  const timeout = server.requestTimeout
  server.requestTimeout = 0
  if (timeout === 0) return
  // This listener has to be called before the app, which may answer at once, and whose answer would
  // need no timer.
  server.prependListener('request', (req: HttpRequest, res: HttpResponse) => {
    if (hasContent(req)) startTimer(server, req, res, timeout)
  })
}

/** Exempts an upload, because `idleTimeout` and `minRate` limit how its content is read. */
export function exemptFromRequestTimeout(req: HttpRequest): void {
  clearTimeout(TIMERS.get(req))
}

/**
 * Whether a request has content. Without content, Node's `headersTimeout` limits it; HTTP/2 has no
 * such timeout.
 */
function hasContent({ headers, httpVersionMajor }: HttpRequest): boolean {
  if (httpVersionMajor > 1) return false
  return Number(headers['content-length']) > 0 || headers['transfer-encoding'] !== undefined
}

function startTimer(server: Server, req: HttpRequest, res: HttpResponse, timeout: number): void {
  const timer = setTimeout(() => {
    if (req.complete) return
    // A pipelined request waits for the answers to earlier ones, which may be long uploads.
    if (res.socket === null) timer.refresh()
    else endRequest(server, req, res)
  }, timeout).unref()
  TIMERS.set(req, timer)
  req.once('close', () => clearTimeout(timer))
}

/**
 * Ends a request as Node does for its own `requestTimeout`: the app's listener of `clientError`
 * decides, and without one the client gets 408.
 */
function endRequest(server: Server, { socket }: HttpRequest, res: HttpResponse): void {
  const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
  if (server.emit('clientError', error, socket)) return
  if (socket.writable && !res.headersSent) socket.write(RESPONSE)
  socket.destroySoon()
}
