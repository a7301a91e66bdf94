/**
 * The time limit of requests, which uploads are exempt from. Node's own `requestTimeout` holds for every
 * request of a server, and its default of 300 s would end any longer upload.
 */
import type { Server } from 'node:net'
import type { HttpRequest, HttpResponse } from './transport.ts'

const TIMERS = new WeakMap<HttpRequest, NodeJS.Timeout>()

/** What Node answers when its own `requestTimeout` is over. */
const RESPONSE = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

/** Puts a timer for each request in the place of the server's `requestTimeout`. */
export function limitRequestTimes(server: Server & { requestTimeout: number }): void {
  const timeout = server.requestTimeout
  server.requestTimeout = 0
  if (timeout === 0) return
  // Prepended, because the app may already have answered when later listeners are called.
  server.prependListener('request', (req: HttpRequest, res: HttpResponse) => {
    if (hasContent(req)) startTimer(server, req, res, timeout)
  })
}

/** Exempts a request whose content is read under limits of its own, `idleTimeout` and `minRate`. */
export function exemptFromRequestTimeout(req: HttpRequest): void {
  clearTimeout(TIMERS.get(req))
}

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

/** Does what Node does for its own `requestTimeout`. */
function endRequest(server: Server, { socket }: HttpRequest, res: HttpResponse): void {
  const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
  if (server.emit('clientError', error, socket)) return
  if (socket.writable && !res.headersSent) socket.write(RESPONSE)
  socket.destroySoon()
}
