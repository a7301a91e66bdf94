/**
 * Requests with `fetch` whose content is a stream, for platforms other than browsers. With a stream
 * the client sees when the network takes each chunk, which gives progress and backpressure.
 *
 * Browsers stream request content over HTTP/2 only, so that it would fail with many servers. The
 * field `browser` in package.json makes bundlers replace this file by `blob-body.ts`.
 */
import { streamPieces } from '../source/byte-source.ts'
import { scope } from '../scope.ts'
import * as blobBody from './blob-body.ts'
import type { BlobLike, TransportRequest } from './transport.ts'

/**
 * Sends a request.
 *
 * @throws ClientError `ERR_SOURCE` if the content can't be read.
 */
export async function fetchWithBody(request: TransportRequest): Promise<Response> {
  const { url, body, onMove } = request
  // Without a bundler this file may run in a service worker, which can't stream over HTTP/1.1
  // either. Service workers are the only platform with a `location` and without `XMLHttpRequest`.
  if (body.length === 0 || scope.location) return blobBody.fetchWithBody(request)
  let failure: unknown
  const stream = streamOf(body, onMove, (error) => (failure = error))
  const init: object = { ...request, duplex: 'half', body: stream }
  return fetch(url, init).catch((error: unknown) => {
    // `fetch` rejects with a TypeError both if the network fails and if the stream fails. The error
    // of the stream must not be retried like one of the network.
    throw failure ?? error
  })
}

/**
 * Makes a stream of the pieces. `onMove` gets the number of bytes that the network has taken. The
 * stream fails, and calls `onFailure`, if a piece can't be read or has more or fewer bytes than its
 * size.
 */
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
        // The high-water mark is 0, so that `pull` is called only after the network has taken the
        // chunk before.
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
