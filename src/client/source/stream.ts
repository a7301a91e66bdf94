/** Streams as sources: their bytes come once, and are held until the server has them. */
import { blobOf, failToRead, sourceError, type ByteSource } from './byte-source.ts'

type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * The chunks of a ReadableStream, which not every browser can iterate. `return` cancels the stream even
 * while a chunk is awaited.
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

/** Reads from a stream. */
export function openStream(stream: ByteStream): ByteSource {
  const chunks = 'getReader' in stream ? iterate(stream) : stream[Symbol.asyncIterator]()
  /** What is held, and where it begins and ends in the stream. */
  const held: Blob[] = []
  let start = 0
  let end = 0
  let isEnded = false

  async function pull(): Promise<void> {
    const step: IteratorResult<unknown, unknown> = await chunks.next().catch(failToRead)
    isEnded = step.done === true
    if (isEnded) return
    const { value } = step
    if (!(value instanceof Uint8Array)) failToRead(value)
    // A Blob is a copy: chunks are borrowed from the stream.
    held.push(blobOf(value))
    end += value.byteLength
  }

  return {
    get size() {
      return isEnded ? end : null
    },
    once: true,
    slice: async (from, to) => {
      if (from < start) throw sourceError(`the stream is past ${from}`)
      for (;;) {
        // What lies before is not asked for any more.
        while (held[0] !== undefined && start + held[0].size <= from) start += held.shift()!.size
        // One byte more tells whether the range is the last one.
        if (isEnded || end > to) return new Blob(held).slice(from - start, to - start)
        await pull()
      }
    },
    close: async () => {
      // Not awaited: a generator that waits for its own source would not return before it gets on.
      if (!isEnded) void chunks.return?.().catch(() => undefined)
    },
  }
}
