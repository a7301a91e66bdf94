/**
 * Requests with `fetch` whose content is a stream, so that progress and backpressure are real. Browsers
 * stream over HTTP/2 only: the field `browser` in package.json replaces this file by `blob-body.ts`.
 */
import { streamPieces } from '../source/byte-source.ts'
import { scope } from '../scope.ts'
import * as blobBody from './blob-body.ts'
import type { BlobLike, TransportRequest } from './transport.ts'

/** Sends a request. */
export async function fetchWithBody(request: TransportRequest): Promise<Response> {
  const { url, body, onMove } = request
  // Of the platforms without `XMLHttpRequest`, only service workers have a `location`.
  if (body.length === 0 || scope.location) return blobBody.fetchWithBody(request)
  let failure: unknown
  const stream = streamOf(body, onMove, (error) => (failure = error))
  const init: object = { ...request, duplex: 'half', body: stream }
  return fetch(url, init).catch((error: unknown) => {
    // `fetch` rejects with the same error for a failed source as for a failed network.
    throw failure ?? error
  })
}

/** Streams pieces. Fails instead of ending with more or fewer bytes than were announced. */
function streamOf(
  pieces: readonly BlobLike[],
  onMove: (sent: number) => void,
  onFailure: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const chunks = streamPieces(pieces)
  let size = 0
  return new ReadableStream(
    {
      pull: async (controller) => {
        // The network asks for another chunk after it has taken the last one.
        onMove(size)
        try {
          const { done, value } = await chunks.next()
          if (done === true) return controller.close()
          size += value.byteLength
          controller.enqueue(value)
        } catch (error) {
          onFailure(error)
          throw error
        }
      },
      cancel: async () => void (await chunks.return()),
    },
    { highWaterMark: 0 },
  )
}
