/** What long uploads need from the server that an app runs in. */
import { IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** A second listener would answer each request that expects 100 Continue twice. */
const PREPARED = new WeakSet<Server>()

/**
 * Prepares a Node HTTP or HTTPS server for long uploads, and returns it. Twice does no harm.
 *
 * - A request that expects 100 Continue gets it when the app begins to read the content, on every
 *   route: a request that is refused before that costs the client no upload (RFC 9110 §10.1.1).
 * - `requestTimeout` is switched off: its default of 300 s ends any longer upload with 408. The
 *   middleware's own `idleTimeout` takes its place, and Node's `headersTimeout` stays.
 *
 * Without it, uploads work for as long as `requestTimeout` allows, and Node says 100 Continue at once.
 */
export function prepareServer<T extends Server>(server: T): T {
  server.requestTimeout = 0
  if (PREPARED.has(server)) return server
  PREPARED.add(server)
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    continueOnRead(req, res)
    server.emit('request', req, res)
  })
  return server
}

/** Node reads a request lazily: `_read` is called when somebody first wants the content. */
function continueOnRead(req: IncomingMessage, res: ServerResponse): void {
  req._read = (size) => {
    Reflect.deleteProperty(req, '_read')
    if (!res.headersSent && !res.writableEnded) res.writeContinue()
    IncomingMessage.prototype._read.call(req, size)
  }
}
