/**
 * Requests with `fetch`. Content streams, so that progress and backpressure are real, except in
 * service workers: there browsers stream over HTTP/2 only, and the content goes as one Blob.
 */
import { failToRead, readPiece, streamPieces } from '../source/byte-source.ts'
import { MAX_ANSWER, toResponse } from './transport.ts'
import type { Piece, Transport, TransportRequest } from './transport.ts'

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
    body: await content(request, (error) => {
      failure = error
    }),
  }
  const response = await fetch(url, init).catch((error: unknown) => {
    // `fetch` has one error for everything. What the source has failed with is no failed network.
    throw failure ?? error
  })
  onMove()
  // What is longer than any answer of use is not read to its end.
  const stream = response.body && counted(response.body, () => onMove(), MAX_ANSWER)
  return toResponse(response.status, response.headers, await new Response(stream).blob())
}

/** The bytes of pieces. The stream fails before it ends with more or fewer than were announced. */
function exact(
  pieces: readonly Piece[],
  onFailure: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const chunks = streamPieces(pieces)
  async function next(): Promise<IteratorResult<Uint8Array, void>> {
    try {
      return await chunks.next().catch(failToRead)
    } catch (error) {
      onFailure(error)
      throw error
    }
  }

  return new ReadableStream(
    {
      pull: async (controller) => {
        const result = await next()
        if (result.done) controller.close()
        else controller.enqueue(result.value)
      },
      cancel: async () => void (await chunks.return(undefined)),
    },
    { highWaterMark: 0 },
  )
}

async function content(
  { body, onMove }: TransportRequest,
  onFailure: (error: unknown) => void,
): Promise<Blob | ReadableStream<Uint8Array> | null> {
  if (body.length === 0) return null
  const blob = await toBlob(body)
  if (typeof location === 'undefined') return counted(exact(body, onFailure), onMove, Infinity)
  // Nobody tells how far it is: the time of the server begins at once.
  onMove(blob.size)
  return blob
}

/** The stream, up to the chunk that exceeds `limit`; `note` is told of bytes when they have left. */
function counted(
  stream: ReadableStream<Uint8Array>,
  note: (size: number) => void,
  limit: number,
): ReadableStream<Uint8Array> {
  let size = 0
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      // Another chunk is wanted only when the last one is on its way.
      note(size)
      size += chunk.byteLength
      controller.enqueue(chunk)
      if (size > limit) controller.terminate()
    },
    flush: () => note(size),
  })
  return stream.pipeThrough(counter)
}

/** Puts pieces together, which in browsers are Blobs. */
export async function toBlob(pieces: readonly Piece[]): Promise<Blob> {
  const blob = new Blob(pieces.filter((piece) => piece instanceof Blob))
  // A file that was moved or has changed would make a request fail like a broken network does.
  await readPiece(blob.slice(-1))
  return blob
}
