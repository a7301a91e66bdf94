/** Where the bytes come from: what can be read again, and what can be read only once. */
import { blobOf, type OpenSource } from './byte-source.ts'
import { openStream } from './stream.ts'

/**
 * What `upload` sends. Of a `Blob` nothing is read into memory beyond what is being sent; a stream is
 * held in memory segment by segment, since a cut segment has to be sent again.
 */
export type Source = Blob | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Makes out what a caller gave.
 *
 * @throws TypeError for what is no source.
 */
export function sourceOpener(source: Source): OpenSource {
  const blob = source instanceof Uint8Array ? blobOf(source) : source
  if (blob instanceof Blob) return () => blob
  if (source instanceof Object && ('getReader' in source || Symbol.asyncIterator in source)) {
    return () => openStream(source)
  }
  throw new TypeError('not a source')
}
