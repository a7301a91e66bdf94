/** Streams as sources: their bytes come once, and are held until the server has them. */
import { blobOf, failToRead, sourceError, type ByteSource } from './byte-source.ts'

type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/** Reads from a stream; `tap` sees all of its bytes in order. */
export function openStream(stream: ByteStream, tap: (bytes: Uint8Array) => void): ByteSource {
  // Not every browser can iterate a ReadableStream.
  const reader = 'getReader' in stream ? stream.getReader() : stream[Symbol.asyncIterator]()
  /** What is held, and where it begins and ends in the stream. */
  const held: Blob[] = []
  let start = 0
  let end = 0
  let isEnded = false

  async function next(): Promise<{
    readonly done?: boolean | undefined
    readonly value?: unknown
  }> {
    return 'read' in reader ? reader.read() : reader.next()
  }

  async function stop(): Promise<unknown> {
    return 'cancel' in reader ? reader.cancel() : reader.return?.()
  }

  async function pull(): Promise<void> {
    const { done, value } = await next().catch(failToRead)
    isEnded = done === true
    if (isEnded) return
    if (!(value instanceof Uint8Array)) failToRead(value)
    tap(value)
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
      if (!isEnded) void stop().catch(() => undefined)
    },
  }
}
