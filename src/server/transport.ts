/**
 * Where HTTP/1.1 and HTTP/2 differ under Node. The objects of an HTTP/2 request look like those of
 * `node:http`, but some properties mean something else (`complete` is true for a reset stream, too) and
 * some are missing (a response has no `destroyed`), so no other file asks them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2'
import { UploadError } from '../errors.ts'

/** A request over HTTP/1.1 or HTTP/2. */
export type HttpRequest = IncomingMessage | Http2ServerRequest

/** Its response. */
export type HttpResponse = ServerResponse | Http2ServerResponse

/** The HTTP/2 stream of a request or a response; null over HTTP/1.1. */
export function streamOf(message: HttpRequest | HttpResponse): ServerHttp2Stream | null {
  const isHttp2 = message instanceof Http2ServerRequest || message instanceof Http2ServerResponse
  return isHttp2 ? message.stream : null
}

/**
 * The length of the content in bytes, as the client announces it. Null if only the end of the message
 * shows it: chunked content, or HTTP/2 without Content-Length (RFC 9113 §8.1.1).
 *
 * @throws UploadError `ERR_FIELD`, which the parsers of Node rule out, but an adapter may not.
 */
export function announcedLength(req: HttpRequest): number | null {
  const field = req.headers['content-length']
  if (req.headers['transfer-encoding'] !== undefined) return null
  if (field === undefined) return streamOf(req)?.endAfterHeaders === false ? null : 0
  const length = Number(field)
  if (Number.isSafeInteger(length) && length >= 0) return length
  throw new UploadError('ERR_FIELD', { detail: 'expected a number of bytes in Content-Length' })
}

/**
 * Whether the client has ended the content. Over HTTP/2 only END_STREAM does that: a stream that is
 * reset, or whose session is lost, emits `end` as well, but after it was aborted.
 */
export function hasEnded(req: HttpRequest): boolean {
  const stream = streamOf(req)
  if (stream === null) return req.complete
  return (req.readableEnded || stream.endAfterHeaders) && !isReset(stream)
}

/** Whether no more of the content can arrive, although some may wait to be read. */
export function isCut(req: HttpRequest): boolean {
  const stream = streamOf(req)
  return stream === null ? req.destroyed : stream.destroyed || isReset(stream)
}

/** Whether a client waits for an answer that nothing else has ended. */
export function isOpen(res: HttpResponse): boolean {
  const stream = streamOf(res)
  const isClosed = stream === null ? res.destroyed : stream.destroyed || stream.closed
  return !isClosed && !res.writableEnded
}

/** Whether the response has emitted `close`, or is about to. */
export function isClosed(res: HttpResponse): boolean {
  return streamOf(res)?.destroyed ?? res.closed
}

/** Aborts an answer, so that the client can't treat a part of it as the whole. */
export function abort(res: HttpResponse): void {
  const stream = streamOf(res)
  if (stream === null) res.destroy()
  // Without a code the reset would report NO_ERROR, as after a whole answer.
  else stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/** Has the client stop sending, once the whole answer is out (RFC 9113 §8.1). */
export function refuseRest(stream: ServerHttp2Stream): void {
  const reset = (): void => stream.close(constants.NGHTTP2_NO_ERROR)
  // Of an answer that has not been ended, the reset would cut the rest.
  if (stream.writableEnded) reset()
  else stream.once('finish', reset)
}

function isReset(stream: ServerHttp2Stream): boolean {
  return stream.aborted || (stream.closed && stream.rstCode !== constants.NGHTTP2_NO_ERROR)
}
