/**
 * Streams as sources. Bytes are held in memory until the server has acknowledged them, because a
 * stream can't be read again after a broken connection.
 */
import { blobOf, failToRead, sourceError, type ByteSource } from './byte-source.ts'

type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Iterates a ReadableStream, because not every browser implements its async iteration. `return`
 * cancels the stream even while a call of `next` is pending; that of a generator would wait for the
 * pending call.
 */
export function iterate(stream: ReadableStream<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  const reader = stream.getReader()
  const chunks: AsyncIterableIterator<Uint8Array> = {
    next: async () => reader.read(),
    return: async () => ({ done: true, value: await reader.cancel() }),
    [Symbol.asyncIterator]: () => chunks,
  }
  return chunks
}

/** Makes a source of a stream. Its segments must be read in order, see `ByteSource.once`. */
export function openStream(stream: ByteStream): ByteSource {
  const chunks = 'getReader' in stream ? iterate(stream) : stream[Symbol.asyncIterator]()
  /** The chunks in memory. `start` and `end` are the positions of their bytes in the stream. */
  const held: Blob[] = []
  let start = 0
  let end = 0
  let isEnded = false

  /** Reads one more chunk into memory. */
  async function pull(): Promise<void> {
    const step: IteratorResult<unknown, unknown> = await chunks.next().catch(failToRead)
    isEnded = step.done === true
    if (isEnded) return
    const { value } = step
    if (!(value instanceof Uint8Array)) failToRead(value)
    // The bytes have to be copied, because the stream may reuse the memory of a chunk for the next
    // one.
    held.push(blobOf(value))
    end += value.byteLength
  }

  return {
    get size() {
      return isEnded ? end : null
    },
    once: true,
    slice: async (from, to) => {
      if (from < start) throw sourceError('the source can not be read again')
      for (;;) {
        // The server has acknowledged the bytes before `from`, so that their chunks can be
        // released.
        while (held[0] !== undefined && start + held[0].size <= from) start += held.shift()!.size
        // Reads one byte beyond the range. Only then it is known whether the stream ends with the
        // range, so that the segment can declare the complete length.
        if (isEnded || end > to) return new Blob(held).slice(from - start, to - start)
        await pull()
      }
    },
    close: async () => {
      // Don't await `return`, because a generator that is itself waiting for data handles it only
      // after the data has come, which may be never.
      if (!isEnded) void chunks.return?.().catch(() => undefined)
    },
  }
}
