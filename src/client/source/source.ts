/** The kinds of sources that `upload` accepts on every platform. */
import { blobOf, type OpenSource } from './byte-source.ts'
import { openStream } from './stream.ts'

/**
 * The bytes that `upload` sends. A `Blob` or `File` is read while it is sent. One segment of a
 * stream at a time is held in memory (8 MiB unless `segmentSize` is set), because the client has to
 * send it again if the connection breaks.
 */
export type Source = Blob | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Returns the function that opens a source.
 *
 * @throws TypeError for a value that is not a source.
 */
export function sourceOpener(source: Source): OpenSource {
  const blob = source instanceof Uint8Array ? blobOf(source) : source
  if (blob instanceof Blob) return () => blob
  if (source instanceof Object && ('getReader' in source || Symbol.asyncIterator in source)) {
    return () => openStream(source)
  }
  throw new TypeError('not a source')
}
