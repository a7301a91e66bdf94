/** What long uploads need from the server that an app runs in. */
import type { Server } from 'node:http'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import net from 'node:net'
import { continueOnRead } from './expect-continue.ts'
import { discardUnread } from './lingering-close.ts'
import { limitRequestTimes } from './request-timeout.ts'
import type { HttpRequest, HttpResponse } from './transport.ts'

/** A second listener would answer each request that expects 100 Continue twice. */
const PREPARED = new WeakSet<net.Server>()

/**
 * Prepares a Node HTTP, HTTPS or HTTP/2 server for long uploads, and returns it. Twice does no harm.
 *
 * - A request that expects 100 Continue gets it when the app begins to read the content, on every
 *   route: a request that is refused before that costs the client no upload (RFC 9110 §10.1.1).
 * - `requestTimeout`, whose default of 300 s ends any longer upload with 408, no longer holds for
 *   uploads: `idleTimeout` and `minRate` take its place. It holds for the content of all other requests,
 *   with the value that the server has now, and `headersTimeout` stays as it is.
 * - Over HTTP/2 the content that an app leaves unread is discarded for a while before the stream is
 *   reset, because curl loses an answer that is followed at once by a reset.
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
  // By default Node reads 1,000 field lines and silently drops the rest, which may hold an If-None-Match.
  if ('maxHeadersCount' in server) server.maxHeadersCount = 0
  if (PREPARED.has(server)) return server
  PREPARED.add(server)
  // A server for HTTP/2 alone has no such timeout.
  if ('requestTimeout' in server) limitRequestTimes(server)
  // Before the app, which may answer at once.
  server.prependListener('request', discardUnread)
  server.on('checkContinue', (req: HttpRequest, res: HttpResponse) => {
    continueOnRead(req, res)
    server.emit('request', req, res)
  })
  return server
}
