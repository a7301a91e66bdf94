/**
 * Requests with `fetch`. Content streams, so that progress and backpressure are real, except in
 * service workers: there browsers stream over HTTP/2 only, and the content goes as one Blob.
 */
import { blobOf, readPiece, streamPieces } from '../source/byte-source.ts'
import { iterate } from '../source/stream.ts'
import { MAX_ANSWER, toResponse } from './transport.ts'
import type { BlobLike, Transport, TransportRequest } from './transport.ts'

/** Of the platforms that have no `XMLHttpRequest`, service workers alone have an address. */
declare const location: object | undefined

/** Sends a request with the platform's `fetch`. */
export const fetchTransport: Transport = async (request) => {
  const { url, onMove } = request
  let failure: unknown
  const init: object = {
    ...request,
    // An old answer from a cache would be taken for what is there now.
    cache: 'no-store',
    duplex: 'half',
    body: await content(request, (error) => (failure = error)),
  }
  const response = await fetch(url, init).catch((error: unknown) => {
    // `fetch` has one error for everything. What the source has failed with is no failed network.
    throw failure ?? error
  })
  onMove()
  const { status, headers, redirected } = response
  return toResponse(status, headers, await readAnswer(response, onMove), redirected)
}

async function content(
  { body, onMove }: TransportRequest,
  onFailure: (error: unknown) => void,
): Promise<Blob | ReadableStream<Uint8Array> | null> {
  if (body.length === 0) return null
  const blob = await toBlob(body)
  if (typeof location === 'undefined') return streamOf(body, onMove, onFailure)
  // Nobody tells how far it is: the time of the server begins at once.
  onMove(blob.size)
  return blob
}

/** The bytes of pieces. The stream fails before it ends with more or fewer than were announced. */
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
        // Another chunk is wanted only when the last one is on its way.
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

/** What is longer than any answer of use is not read to its end. */
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

/** Puts pieces together, which in browsers are Blobs. */
export async function toBlob(pieces: readonly BlobLike[]): Promise<Blob> {
  const blob = new Blob(pieces.filter((piece) => piece instanceof Blob))
  // A file that was moved or has changed would make a request fail like a broken network does.
  await readPiece(blob.slice(-1))
  return blob
}
