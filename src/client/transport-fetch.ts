/**
 * Requests with `fetch`. Content streams, so that progress and backpressure are real, except in
 * service workers: there browsers stream over HTTP/2 only, and the content goes as one Blob.
 */
import { sourceError } from './byte-source.ts'
import { blobOf, MAX_ANSWER, toResponse, type Piece, type Transport } from './transport.ts'

/** Sends a request with the platform's `fetch`. */
export const fetchTransport: Transport = async (request) => {
  const { method, url, headers, body, credentials, signal, onAnswer } = request
  // An old answer from a cache would be taken for what is there now.
  const init = { method, headers, credentials, signal, cache: 'no-store' as const }
  if (body.length > 0 && !('ServiceWorkerGlobalScope' in globalThis)) {
    const { fetchStreaming } = await import('./fetch-streaming.ts')
    return fetchStreaming(request, async (stream) => send({ ...init, ...stream }))
  }
  return send(body.length === 0 ? init : { ...init, body: toBlob(body) })

  async function send(options: RequestInit): Promise<Response> {
    const response = await fetch(url, options)
    onAnswer()
    return toResponse(response.status, response.headers, await readAnswer(response, onAnswer))
  }
}

/** Puts pieces together, of which none may be a platform's own. */
export function toBlob(pieces: readonly Piece[]): Blob {
  return blobOf(
    pieces.map((piece) => {
      if (piece instanceof Uint8Array || piece instanceof Blob) return piece
      throw sourceError('files by path need partial-upload/client/node')
    }),
  )
}

async function readAnswer(
  { body }: Response,
  onAnswer: () => void,
): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = []
  if (body === null) return chunks
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader()
  for (let size = 0; size <= MAX_ANSWER;) {
    const { done, value } = await reader.read()
    if (done) return chunks
    onAnswer()
    chunks.push(value)
    size += value.byteLength
  }
  await reader.cancel()
  return chunks
}
