/** Streams as sources: their bytes come once, and are held until the server has them. */
import { blobOf, failToRead, sourceError, type ByteSource } from './byte-source.ts'

type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/** As much of a stream as is used: not every browser can iterate a `ReadableStream`. */
interface Reader {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>
  stop(): Promise<unknown>
}

/** Reads from a stream; `tap` sees all of its bytes in order. */
export function openStream(stream: ByteStream, tap: (bytes: Uint8Array) => void): ByteSource {
  const reader = openReader(stream)
  /** What is held, and where it begins and ends in the stream. */
  let held: Blob[] = []
  let start = 0
  let end = 0
  let isEnded = false

  async function pull(): Promise<void> {
    const { done, value } = await reader.next().catch(failToRead)
    isEnded = done === true
    if (isEnded) return
    if (!(value instanceof Uint8Array)) throw sourceError('the stream must give bytes')
    tap(value)
    // A Blob is a copy: chunks are borrowed from the stream.
    held.push(blobOf(value))
    end += value.byteLength
  }

  /** Lets go of what lies before a position. */
  function drop(position: number): void {
    while (held[0] !== undefined && start + held[0].size <= position) start += held.shift()!.size
  }

  return {
    get size() {
      return isEnded ? end : null
    },
    type: '',
    once: true,
    slice: async (from, to) => {
      if (from < start) throw sourceError(`the stream is past ${from}`)
      drop(from)
      // One byte more tells whether the range is the last one.
      while (!isEnded && end <= to) {
        await pull()
        drop(from)
      }
      return new Blob(held).slice(from - start, to - start)
    },
    close: async () => {
      held = []
      // Not awaited: a generator that waits for its own source would not return before it gets on.
      if (!isEnded) void reader.stop().catch(() => undefined)
    },
  }
}

function openReader(stream: ByteStream): Reader {
  if ('getReader' in stream) {
    const reader = stream.getReader()
    return { next: async () => reader.read(), stop: async () => reader.cancel() }
  }
  const chunks = stream[Symbol.asyncIterator]()
  return { next: async () => chunks.next(), stop: async () => chunks.return?.() }
}
