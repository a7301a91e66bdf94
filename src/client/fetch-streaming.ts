/** Content as a stream for `fetch`, where that streams over HTTP/1.1: outside of browsers. */
import { ClientError } from './error.ts'
import { sourceError } from './byte-source.ts'
import type { Piece, TransportRequest } from './transport.ts'

/** The part of `fetch`'s options that says what is sent. */
export interface StreamInit {
  readonly body: ReadableStream<Uint8Array>
  readonly duplex: 'half'
}

/**
 * Sends the content of a request as a stream.
 *
 * @throws ClientError `ERR_SOURCE` when the content can't be read, and whatever `send` throws.
 */
export async function fetchStreaming(
  { body, onProgress }: TransportRequest,
  send: (init: StreamInit) => Promise<Response>,
): Promise<Response> {
  const chunks = readPieces(body)
  let failure: ClientError | null = null
  let sent = 0
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Another chunk is wanted only when the last one is on its way.
        onProgress(sent)
        try {
          const { done, value } = await chunks.next()
          if (done === true) controller.close()
          else {
            sent += value.byteLength
            controller.enqueue(value)
          }
        } catch (error) {
          failure = error instanceof ClientError ? error : sourceError('the source failed', error)
          controller.error(failure)
        }
      },
      async cancel() {
        await chunks.return()
      },
    },
    { highWaterMark: 0 },
  )
  try {
    return await send({ body: stream, duplex: 'half' })
  } catch (error) {
    throw failure ?? error
  }
}

async function* readPieces(pieces: readonly Piece[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) yield piece
    else yield* piece.stream()
  }
}
