/** Streams as sources. Their bytes are held until the server has acknowledged them. */
import { blobOf, failToRead, sourceError, type ByteSource } from './byte-source.ts'

type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Iterates a ReadableStream, which not every browser can do itself. `return` cancels the stream even
 * while `next` is pending, unlike the one of a generator.
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
  /** The chunks in memory, and the positions in the stream where they start and end. */
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
    // A Blob is a copy, because the stream may reuse the memory of its chunks.
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
        // Bytes before `from` are acknowledged, and never read again.
        while (held[0] !== undefined && start + held[0].size <= from) start += held.shift()!.size
        // One byte more shows whether the range is the last one.
        if (isEnded || end > to) return new Blob(held).slice(from - start, to - start)
        await pull()
      }
    },
    close: async () => {
      // Not awaited, because a generator that waits for its own source returns only after that.
      if (!isEnded) void chunks.return?.().catch(() => undefined)
    },
  }
}
