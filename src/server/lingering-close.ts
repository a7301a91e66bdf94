/**
 * Discards content that is not read, while the client still sends it. If the server closed the
 * connection at once, the operating system would reset it, and a client or proxy that is still
 * sending could lose the answer (RFC 9112 §9.6). The same holds for an HTTP/2 stream: curl 7.88
 * drops an answer that arrives together with a reset, although RFC 9113 §8.1 forbids that, and
 * Node's client never closes such a stream.
 */
import { isAwaitingContinue } from './expect-continue.ts'
import type { ServerHttp2Stream } from 'node:http2'
import {
  hasEnded,
  isOpen,
  refuseRest,
  streamOf,
  type HttpRequest,
  type HttpResponse,
} from './transport.ts'

/**
 * Largest content, in bytes, that is read to its end so that the connection can be used again. For
 * more, a new connection costs less than the transfer.
 */
const REUSE_SIZE = 1024 * 1024

/** The time that a client has to notice the answer and to stop sending, in milliseconds. */
export interface LingerLimits {
  /** Longest time from the answer to the close. */
  readonly time: number
  /** Longest silence of the client in this time. */
  readonly silence: number
}

/** The defaults of nginx for `lingering_time` and `lingering_timeout`. */
const LIMITS: LingerLimits = { time: 30_000, silence: 5000 }

/**
 * Whether the rest of the content is small enough to keep the connection. True if no length is
 * announced.
 */
export function canReuse(req: HttpRequest): boolean {
  return !(Number(req.headers['content-length']) > REUSE_SIZE)
}

/**
 * Discards the rest of the content after the answer was written. Resolves when the content has
 * ended or the connection is closed. A connection that is not kept is half-closed first, because
 * some clients read the answer only when they see its end. The size of the content is not limited,
 * because discarding needs no memory.
 */
export function linger(req: HttpRequest, limits: LingerLimits = LIMITS): Promise<void> {
  if (!canReuse(req)) halfClose(req)
  let size = 0
  const close = (): void => req.socket.destroySoon()
  return discard(req, limits, close, (length) => {
    size += length
    if (size > REUSE_SIZE) halfClose(req)
  })
}

/**
 * Discards the rest of the content of an HTTP/2 stream whose answer has been ended. If the client
 * sends for too long, only this stream is reset, because other streams use the connection.
 */
export async function lingerOnStream(
  req: HttpRequest,
  stream: ServerHttp2Stream,
  limits: LingerLimits = LIMITS,
): Promise<void> {
  if (isAwaitingContinue(req)) refuseRest(stream)
  else await discard(req, limits, () => refuseRest(stream))
}

/**
 * Discards the content of an HTTP/2 stream that the app has answered without reading it, such as a 401. Otherwise Node
 * resets the stream at once, and curl loses the answer (see the head of this file).
 */
export function discardUnread(req: HttpRequest, res: HttpResponse): void {
  const stream = streamOf(res)
  if (stream === null || stream.endAfterHeaders) return
  stream.once('finish', () => {
    if (!req.readableDidRead && !hasEnded(req)) void lingerOnStream(req, stream)
  })
}

/**
 * Discards what the client still sends while the app answers an error. The error handler of Express
 * answers only after the end of the content, so that a client could delay it without limit: after
 * the time limit the content is cut.
 */
export function discardContent(req: HttpRequest, res: HttpResponse): void {
  if (hasEnded(req) || isAwaitingContinue(req)) return
  const stream = streamOf(res)
  if (stream === null) {
    void discard(req, LIMITS, () => req.socket.destroySoon())
    return
  }
  void discard(req, LIMITS, () => {
    if (isOpen(res) && !res.headersSent) res.writeHead(500).end()
    refuseRest(stream)
  })
}

/**
 * Sends FIN, the end of the answers. The client can still send, and its content is discarded until
 * it stops.
 */
function halfClose({ socket }: HttpRequest): void {
  if (socket.writable) socket.end()
}

/**
 * Discards content until it ends or the connection is closed, or calls `onTimeout` when a limit is
 * reached. Resolves in each case. `onLength` is called with the size of each chunk, in bytes.
 */
function discard(
  req: HttpRequest,
  limits: LingerLimits,
  onTimeout: () => void,
  onLength: (length: number) => void = () => undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const total = setTimeout(giveUp, limits.time).unref()
    const silence = setTimeout(giveUp, limits.silence).unref()

    function heard(chunk: Uint8Array): void {
      silence.refresh()
      onLength(chunk.byteLength)
    }
    function giveUp(): void {
      end()
      onTimeout()
    }
    function end(): void {
      clearTimeout(total)
      clearTimeout(silence)
      req.off('data', heard).off('end', end).off('close', end)
      resolve()
    }
    req.on('data', heard).on('end', end).on('close', end)
    req.resume()
    // Read at once, because Node resets an HTTP/2 stream that is answered before the first read.
    if (streamOf(req) !== null) req.read(0)
  })
}
