/**
 * Hides the differences between HTTP/1.1 and HTTP/2 in Node. The objects of an HTTP/2 request look
 * like those of `node:http`, but some properties have another meaning (`complete` is also true for
 * a stream that was reset), and some are missing (a response has no `destroyed`). Other files
 * therefore use these functions and not the properties.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2'
import { UploadError } from '../errors.ts'

/** A request of Node, over HTTP/1.1 or HTTP/2. */
export type HttpRequest = IncomingMessage | Http2ServerRequest

/** The response of Node to such a request. */
export type HttpResponse = ServerResponse | Http2ServerResponse

/** Returns the HTTP/2 stream of a request or a response; null over HTTP/1.1. */
export function streamOf(message: HttpRequest | HttpResponse): ServerHttp2Stream | null {
  const isHttp2 = message instanceof Http2ServerRequest || message instanceof Http2ServerResponse
  return isHttp2 ? message.stream : null
}

/**
 * Returns the length of the content in bytes, as the client announces it; 0 without content. Null
 * if only the end of the message shows it: chunked content, or HTTP/2 without Content-Length (RFC
 * 9113 §8.1.1).
 *
 * @throws UploadError `ERR_FIELD` for a malformed Content-Length. Node's parsers refuse one
 * themselves, but an adapter may not.
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
 * Whether the client has ended the content. Over HTTP/2 only END_STREAM ends it. A stream that is
 * reset, or whose session is lost, emits `end` as well, but only after it was aborted, which
 * `isReset` detects.
 */
export function hasEnded(req: HttpRequest): boolean {
  const stream = streamOf(req)
  if (stream === null) return req.complete
  return (req.readableEnded || stream.endAfterHeaders) && !isReset(stream)
}

/** Whether no more content can arrive. Some that has arrived before may still wait to be read. */
export function isCut(req: HttpRequest): boolean {
  const stream = streamOf(req)
  return stream === null ? req.destroyed : stream.destroyed || isReset(stream)
}

/**
 * Whether the client can still get an answer: its connection is open, and no answer has been ended.
 */
export function isOpen(res: HttpResponse): boolean {
  const stream = streamOf(res)
  const isClosed = stream === null ? res.destroyed : stream.destroyed || stream.closed
  return !isClosed && !res.writableEnded
}

/** Whether the response has emitted `close`, or is about to. */
export function isClosed(res: HttpResponse): boolean {
  return streamOf(res)?.destroyed ?? res.closed
}

/** Aborts an answer, so that the client does not treat a part of the content as the whole. */
export function abort(res: HttpResponse): void {
  const stream = streamOf(res)
  if (stream === null) res.destroy()
  // Without this code the reset would report NO_ERROR, as after a complete answer.
  else stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/**
 * Resets the stream with NO_ERROR after the whole answer, which asks the client to stop sending
 * (RFC 9113 §8.1).
 */
export function refuseRest(stream: ServerHttp2Stream): void {
  const reset = (): void => stream.close(constants.NGHTTP2_NO_ERROR)
  // A reset before the answer has ended would cut the rest of the answer.
  if (stream.writableEnded) reset()
  else stream.once('finish', reset)
}

/** Whether either side has ended the stream with an error, so that its content is not complete. */
function isReset(stream: ServerHttp2Stream): boolean {
  return stream.aborted || (stream.closed && stream.rstCode !== constants.NGHTTP2_NO_ERROR)
}
