/** What long uploads need from the server that an app runs in. */
import type { Server } from 'node:http'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import net from 'node:net'
import { limitRequestTimes } from './request-timeout.ts'
import type { HttpRequest, HttpResponse } from './transport.ts'

/** A second listener would answer each request that expects 100 Continue twice. */
const PREPARED = new WeakSet<net.Server>()

/** Requests whose client waits for 100 Continue before it sends the content. */
const AWAITING = new WeakSet<HttpRequest>()

/**
 * Prepares a Node HTTP, HTTPS or HTTP/2 server for long uploads, and returns it. Twice does no harm.
 *
 * - A request that expects 100 Continue gets it when the app begins to read the content, on every
 *   route: a request that is refused before that costs the client no upload (RFC 9110 §10.1.1).
 * - `requestTimeout`, whose default of 300 s ends any longer upload with 408, no longer holds for
 *   uploads: `idleTimeout` and `minRate` take its place. It holds for the content of all other requests,
 *   with the value that the server has now, and `headersTimeout` stays as it is.
 *
 * Without it, uploads work for as long as `requestTimeout` allows, and Node says 100 Continue at once.
 *
 * @throws TypeError for anything but a server, such as the app itself.
 */
export function prepareServer<T extends Server | Http2Server | Http2SecureServer>(server: T): T {
  if (!(server instanceof net.Server)) {
    throw new TypeError(
      'prepareServer expects a Node server, as http.createServer(app) and app.listen() return it',
    )
  }
  // Node reads 1,000 field lines unless told otherwise, and drops the rest: an If-None-Match among them.
  if ('maxHeadersCount' in server) server.maxHeadersCount = 0
  if (PREPARED.has(server)) return server
  PREPARED.add(server)
  // A server for HTTP/2 alone has no such timeout.
  if ('requestTimeout' in server) limitRequestTimes(server)
  server.on('checkContinue', (req: HttpRequest, res: HttpResponse) => {
    continueOnRead(req, res)
    server.emit('request', req, res)
  })
  return server
}

/** Whether the client still waits for 100 Continue, so that no content is on its way. */
export function isAwaitingContinue(req: HttpRequest): boolean {
  return AWAITING.has(req)
}

/** Streams are read lazily: Node calls `_read` when somebody first wants the content. */
function continueOnRead(req: HttpRequest, res: HttpResponse): void {
  AWAITING.add(req)
  req._read = (size) => {
    AWAITING.delete(req)
    // Uncovers the method of the class, which may be that of HTTP/1.1 or HTTP/2.
    Reflect.deleteProperty(req, '_read')
    if (!res.headersSent && !res.writableEnded) res.writeContinue()
    req._read(size)
  }
}
