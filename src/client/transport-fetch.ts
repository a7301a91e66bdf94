/**
 * Requests with `fetch`. Content streams, so that progress and backpressure are real, except in
 * service workers: there browsers stream over HTTP/2 only, and the content goes as one Blob.
 */
import { sourceError } from './byte-source.ts'
import { MAX_ANSWER, toResponse } from './transport.ts'
import type { Piece, Transport, TransportRequest } from './transport.ts'

interface Content {
  readonly body: Blob | ReadableStream<Uint8Array> | null
  readonly duplex?: 'half'
}

/** Sends a request with the platform's `fetch`. */
export const fetchTransport: Transport = async (request) => {
  const { url, onMove } = request
  // An old answer from a cache would be taken for what is there now.
  const init = { ...request, cache: 'no-store' as const, ...content(request) }
  const response = await fetch(url, init)
  onMove()
  // What is longer than any answer of use is not read to its end.
  const stream = response.body && counted(response.body, () => onMove(), MAX_ANSWER)
  return toResponse(response.status, response.headers, await new Response(stream).blob())
}

function content({ body, onMove }: TransportRequest): Content {
  if (body.length === 0) return { body: null }
  const blob = toBlob(body)
  if ('ServiceWorkerGlobalScope' in globalThis) {
    // Nobody tells how far it is: the time of the server begins at once.
    onMove(blob.size)
    return { body: blob }
  }
  return { body: counted(blob.stream(), onMove, Infinity), duplex: 'half' }
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

/** Puts pieces together without reading them. */
export function toBlob(pieces: readonly Piece[]): Blob {
  return new Blob(
    pieces.map((piece) => {
      if (piece instanceof Blob) return piece
      throw sourceError('no Blob')
    }),
  )
}
