/** The sources that a caller can give on every platform. */
import { blobOf, type OpenSource } from './byte-source.ts'
import { openStream } from './stream.ts'

/**
 * The bytes that `upload` sends. A `Blob` is read as it is sent. A stream is held in memory segment by
 * segment, because a segment that was cut has to be sent again.
 */
export type Source = Blob | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Returns the function that opens a source.
 *
 * @throws TypeError for another value.
 */
export function sourceOpener(source: Source): OpenSource {
  const blob = source instanceof Uint8Array ? blobOf(source) : source
  if (blob instanceof Blob) return () => blob
  if (source instanceof Object && ('getReader' in source || Symbol.asyncIterator in source)) {
    return () => openStream(source)
  }
  throw new TypeError('not a source')
}
