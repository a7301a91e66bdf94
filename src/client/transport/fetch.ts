/**
 * Requests with `fetch`. Content is streamed, so that progress and backpressure are real. Browsers stream
 * over HTTP/2 only: in service workers the content is sent as one Blob.
 */
import { blobOf, readPiece, streamPieces } from '../source/byte-source.ts'
import { iterate } from '../source/stream.ts'
import { MAX_ANSWER, toResponse } from './transport.ts'
import type { BlobLike, Transport, TransportRequest } from './transport.ts'

/** Among the platforms without `XMLHttpRequest`, only service workers have a `location`. */
declare const location: object | undefined

/** Sends a request with the platform's `fetch`. */
export const fetchTransport: Transport = async (request) => {
  const { url, onMove } = request
  let failure: unknown
  const init: object = {
    ...request,
    // An answer from a cache would be treated as the present state.
    cache: 'no-store',
    duplex: 'half',
    body: await content(request, (error) => (failure = error)),
  }
  const response = await fetch(url, init).catch((error: unknown) => {
    // `fetch` rejects with the same error for a failed source as for a failed network.
    throw failure ?? error
  })
  onMove()
  return toResponse(response, await readAnswer(response, onMove), response.redirected)
}

async function content(
  { body, onMove }: TransportRequest,
  onFailure: (error: unknown) => void,
): Promise<Blob | ReadableStream<Uint8Array> | null> {
  if (body.length === 0) return null
  const blob = await toBlob(body)
  if (typeof location === 'undefined') return streamOf(body, onMove, onFailure)
  // Progress is unknown here, so that only the time limit for the answer counts.
  onMove(blob.size)
  return blob
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

/** Reads the content of an answer, but hardly more than `MAX_ANSWER` bytes. */
async function readAnswer({ body }: Response, onMove: () => void): Promise<Blob> {
  const chunks: Blob[] = []
  let size = 0
  for await (const chunk of body ? iterate(body) : []) {
    onMove()
    chunks.push(blobOf(chunk))
    size += chunk.byteLength
    if (size > MAX_ANSWER) break
  }
  return new Blob(chunks)
}

/** Concatenates pieces, which are Blobs in browsers. */
export async function toBlob(pieces: readonly BlobLike[]): Promise<Blob> {
  const blob = new Blob(pieces.filter((piece) => piece instanceof Blob))
  // A file that was moved or changed would otherwise look like a failed network.
  await readPiece(blob.slice(-1))
  return blob
}
