/** Where the bytes come from: what can be read again, and what can be read only once. */
import { sourceError, type ByteSource, type OpenSource } from './byte-source.ts'
import { blobOf } from './transport.ts'

/**
 * What `upload` sends. Of a `Blob` nothing is read into memory beyond what is being sent; a stream is
 * held in memory segment by segment, since a cut segment has to be sent again.
 */
export type Source = Blob | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Makes out what a caller gave. What streams need is loaded only for streams.
 *
 * @throws TypeError for what is no source.
 */
export function sourceOpener(source: Source): OpenSource {
  if (source instanceof Blob) return async () => blobSource(source)
  if (source instanceof Uint8Array) return async () => blobSource(blobOf([source]))
  if (typeof source === 'object' && ('getReader' in source || Symbol.asyncIterator in source)) {
    return async (tap) => (await import('./source-stream.ts')).openStream(source, tap)
  }
  throw new TypeError('the source must be a Blob, bytes or a stream')
}

function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    type: blob.type,
    once: false,
    read: async (start, end) => readBlob(blob.slice(start, end)),
    slice: async (start, end) => {
      // A file that was moved or changed makes a request fail like a broken network does.
      await readBlob(blob.slice(start, Math.min(end, start + 1)))
      return blob.slice(start, end)
    },
    close: async () => undefined,
  }
}

async function readBlob(blob: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.arrayBuffer())
  } catch (cause) {
    throw sourceError('the file can no longer be read: it was moved or has changed', cause)
  }
}
