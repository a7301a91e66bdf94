/**
 * Discards content that the app does not read while the client still sends it. A connection that is closed at
 * once is reset, and a client or proxy that is busy sending can lose the answer with it (RFC 9112 §9.6).
 * The same holds for a stream of HTTP/2: curl 7.88 drops the answer when the reset arrives with it,
 * although RFC 9113 §8.1 forbids that, and Node's client never closes such a stream.
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
 * Content of at most this many bytes is read to its end, and the connection is used again. A client
 * that has more to send is better served by a new connection.
 */
const REUSE_SIZE = 1024 * 1024

/** How long a client may take to notice an answer, in milliseconds. */
export interface LingerLimits {
  /** Longest time from the answer to the close. */
  readonly time: number
  /** Longest silence in between. */
  readonly silence: number
}

/** What nginx takes by default (`lingering_time`, `lingering_timeout`). */
const LIMITS: LingerLimits = { time: 30_000, silence: 5000 }

/** True if the rest of the content is small enough to keep the connection. */
export function canReuse(req: HttpRequest): boolean {
  return !(Number(req.headers['content-length']) > REUSE_SIZE)
}

/**
 * Discards the rest of the content after the answer was written, and resolves when the content has
 * ended or the connection is closed. Where the connection is not kept, it is half-closed first, so that
 * a client that waits for its end sees it. Discarding holds no memory, so its size is not limited.
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
 * Discards the rest of the content of a stream whose answer has been ended. Other streams use the
 * connection, so that only this stream is reset when the client sends for too long.
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
 * Discards what the app leaves unread of a stream that it answers. Otherwise Node resets the stream at once,
 * and curl loses the answer (see above).
 */
export function discardUnread(req: HttpRequest, res: HttpResponse): void {
  const stream = streamOf(res)
  if (stream === null || stream.endAfterHeaders) return
  stream.once('finish', () => {
    if (!req.readableDidRead && !hasEnded(req)) void lingerOnStream(req, stream)
  })
}

/**
 * Discards what the client still sends while the app answers an error. Express's own answer waits for
 * the end of the content, so content that takes too long is cut.
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

/** Sends FIN after the answer. The client may still send, and its content is discarded until it stops. */
function halfClose({ socket }: HttpRequest): void {
  if (socket.writable) socket.end()
}

/** Discards content until it ends, the connection is closed, or the client has had enough time. */
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
      settle()
      onTimeout()
    }
    function settle(): void {
      clearTimeout(total)
      clearTimeout(silence)
      req.off('data', heard).off('end', settle).off('close', settle)
      resolve()
    }
    req.on('data', heard).on('end', settle).on('close', settle)
    req.resume()
    // Begins to read at once, because Node resets an HTTP/2 stream that is answered before any read.
    if (streamOf(req) !== null) req.read(0)
  })
}
