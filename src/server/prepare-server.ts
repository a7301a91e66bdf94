/** Prepares the Node server of an app for long uploads. */
import type { Server } from 'node:http'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import net from 'node:net'
import { continueOnRead } from './expect-continue.ts'
import { discardUnread } from './lingering-close.ts'
import { limitRequestTimes } from './request-timeout.ts'
import type { HttpRequest, HttpResponse } from './transport.ts'

/**
 * Servers that are prepared. Preparing one twice would answer each request with `Expect:
 * 100-continue` twice.
 */
const PREPARED = new WeakSet<net.Server>()

/**
 * Prepares a Node HTTP, HTTPS or HTTP/2 server for long uploads, and returns it. A second call
 * changes nothing.
 *
 * - A request that expects 100 Continue gets it when the app begins to read the content, on every
 *   route. A client whose request is refused before that sends no content (RFC 9110 §10.1.1).
 * - `requestTimeout`, whose default of 300 s ends a longer upload with 408, no longer applies to
 *   uploads; `idleTimeout` and `minRate` limit them instead. It still applies to the content of all
 *   other requests, with the value that the server has at the time of the call, and
 *   `headersTimeout` stays as it is.
 * - The limit of 1,000 field lines is lifted, because Node drops the lines beyond it silently.
 * - Over HTTP/2, content that an app leaves unread is discarded for up to 30 s before the stream is
 *   reset, because curl loses an answer that is followed at once by a reset.
 *
 * Without this call, an upload may take as long as `requestTimeout` allows, and Node answers 100
 * Continue at once.
 *
 * @throws TypeError for anything but a server, such as the app itself.
 */
export function prepareServer<T extends Server | Http2Server | Http2SecureServer>(server: T): T {
  if (!(server instanceof net.Server)) {
    throw new TypeError(
      'prepareServer expects a Node server, as http.createServer(app) and app.listen() return it',
    )
  }
  // By default Node reads 1,000 field lines and silently drops the rest, which may include an
  // If-None-Match.
  if ('maxHeadersCount' in server) server.maxHeadersCount = 0
  if (PREPARED.has(server)) return server
  PREPARED.add(server)
  // A server for HTTP/2 alone has no such timeout.
  if ('requestTimeout' in server) limitRequestTimes(server)
  // The listener has to be called before the app, because the app may answer at once.
  server.prependListener('request', discardUnread)
  server.on('checkContinue', (req: HttpRequest, res: HttpResponse) => {
    continueOnRead(req, res)
    server.emit('request', req, res)
  })
  return server
}
