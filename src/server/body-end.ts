/**
 * Finds out whether the content of a request has arrived completely, also where it was read before
 * this middleware or where its connection is closed already.
 */
import { UploadError } from '../errors.ts'
import { ConnectionLostError } from '../protocol/http.ts'
import { announcedLength, hasEnded, type HttpRequest } from './transport.ts'

/** Returns the reason why content that has ended is not complete; null if it is complete. */
export function checkEnd(req: HttpRequest, received: number): Error | null {
  if (!hasEnded(req)) return connectionLost(undefined)
  const announced = announcedLength(req)
  return announced === null || announced === received ? null : wrongLength(received, announced)
}

/**
 * Returns the content if a body parser before this middleware, such as `express.raw()`, has read
 * it; null if the stream is untouched.
 *
 * @throws Error if a parser has read the stream and left no bytes, as `express.json()` does.
 */
export function parsedEarlier(req: HttpRequest & { readonly body?: unknown }): Uint8Array | null {
  const isUntouched = !req.readableDidRead && req.readableEncoding === null
  const announced = announcedLength(req)
  // An adapter, such as one for AWS Lambda, may give the content in `body`, beside a stream that
  // can't be read.
  const isGiven = !req.readable && req.body instanceof Uint8Array
  if ((isUntouched && !isGiven) || announced === 0) return null
  if (!(req.body instanceof Uint8Array)) {
    throw new Error(
      'The request body was read before partialUpload() could read it: mount it before body parsers',
    )
  }
  const { byteLength } = req.body
  if (announced !== null && announced !== byteLength) throw wrongLength(byteLength, announced)
  return req.body
}

/**
 * Returns the content of a request that is closed already, for which raw-body would wait for ever.
 */
export function restOfCut(req: HttpRequest): Uint8Array {
  const content = Buffer.concat(readRest(req))
  const failure = checkEnd(req, content.byteLength)
  if (failure !== null) throw failure
  return content
}

/** Returns the chunks that a closed stream still holds. Only `read` returns them. */
export function readRest(req: HttpRequest): Uint8Array[] {
  const chunks: Uint8Array[] = []
  while (true) {
    const chunk: unknown = req.read()
    if (!(chunk instanceof Uint8Array)) return chunks
    chunks.push(chunk)
  }
}

/**
 * The `type` of the errors with which raw-body reports content of another length than was
 * announced.
 */
const LENGTH_ERRORS: readonly unknown[] = ['request.size.invalid', 'entity.too.large']

/** Translates an error of raw-body: a wrong number of bytes, or a lost connection. */
export function readError(error: unknown, announced: number): Error {
  const hasLength = error instanceof Error && 'type' in error && 'received' in error
  if (!hasLength || !LENGTH_ERRORS.includes(error.type)) return connectionLost(error)
  return wrongLength(Number(error.received), announced)
}

/**
 * Makes the error for a wrong length. Node's parsers enforce Content-Length, but an adapter may
 * not.
 */
function wrongLength(received: number, announced: number): UploadError {
  return new UploadError('ERR_LENGTH', {
    detail: `${received} bytes of content arrived; Content-Length announced ${announced}`,
  })
}

function connectionLost(cause: unknown): ConnectionLostError {
  return new ConnectionLostError('the client closed the connection', { cause })
}
