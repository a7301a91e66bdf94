/** The transport over `fetch`. */
import { blobOf } from '../source/byte-source.ts'
import { iterate } from '../source/stream.ts'
import { fetchWithBody } from './stream-body.ts'
import { MAX_ANSWER, toResponse, type Transport } from './transport.ts'

/** Sends a request with the platform's `fetch`. */
export const fetchTransport: Transport = async (request) => {
  const { onMove } = request
  const response = await fetchWithBody(request)
  onMove()
  return toResponse(response, await readAnswer(response, onMove), response.redirected)
}

/**
 * Reads the content of an answer, and stops after the chunk that exceeds `MAX_ANSWER` bytes. A
 * server that ignores `Range` could otherwise fill the memory with a whole file.
 */
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
