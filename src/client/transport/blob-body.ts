/**
 * Requests with `fetch` whose content is one Blob. Bundles for browsers get this file in place of
 * `stream-body.ts`, see the field `browser` in package.json.
 */
import { readPiece } from '../source/byte-source.ts'
import type { BlobLike, TransportRequest } from './transport.ts'

/**
 * Sends a request. `fetch` does not report the progress of a Blob, so that all content counts as
 * sent at the start, and only the time limit for the answer applies.
 *
 * @throws ClientError `ERR_SOURCE` if the content can't be read.
 */
export async function fetchWithBody(request: TransportRequest): Promise<Response> {
  const { url, body, onMove } = request
  const content = body.length > 0 ? await toBlob(body) : null
  if (content) onMove(content.size)
  // A `HEAD` that a cache answers could report an offset from before the last segment.
  const init: object = { ...request, cache: 'no-store', body: content }
  return fetch(url, init)
}

/**
 * Concatenates pieces, all of which are Blobs on platforms that use this function.
 *
 * @throws ClientError `ERR_SOURCE` if the content can't be read.
 */
export async function toBlob(pieces: readonly BlobLike[]): Promise<Blob> {
  const blob = new Blob(pieces.filter((piece) => piece instanceof Blob))
  // If a file was moved or changed after the user had chosen it, `fetch` and `XMLHttpRequest` fail
  // as they do after a network error. Reading the last byte first makes the difference.
  await readPiece(blob.slice(-1))
  return blob
}
