/** Requests with `fetch` whose content is one Blob. */
import { readPiece } from '../source/byte-source.ts'
import type { BlobLike, TransportRequest } from './transport.ts'

/**
 * Sends a request. The progress of its content is unknown, so that only the time limit for the answer
 * counts.
 *
 * @throws ClientError `ERR_SOURCE`
 */
export async function fetchWithBody(request: TransportRequest): Promise<Response> {
  const { url, body, onMove } = request
  const content = body.length > 0 ? await toBlob(body) : null
  if (content) onMove(content.size)
  // An answer from a cache would be treated as the present state.
  const init: object = { ...request, cache: 'no-store', body: content }
  return fetch(url, init)
}

/**
 * Concatenates pieces, which are Blobs in browsers.
 *
 * @throws ClientError `ERR_SOURCE`
 */
export async function toBlob(pieces: readonly BlobLike[]): Promise<Blob> {
  const blob = new Blob(pieces.filter((piece) => piece instanceof Blob))
  // A file that was moved or changed would otherwise look like a failed network.
  await readPiece(blob.slice(-1))
  return blob
}
