/** Streams as sources: their bytes come once, and are held until the server has them. */
import { sourceError, type ByteSource } from './byte-source.ts'
import type { Piece } from './transport.ts'

/** Reads from a stream; `tap` sees all of its bytes in order. */
export function openStream(
  stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
  tap: (bytes: Uint8Array) => void,
): ByteSource {
  return new StreamSource(iterate(stream), tap)
}

/** A stream with a window of what was last asked for. */
class StreamSource implements ByteSource {
  readonly type = ''
  readonly once = true
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #tap: (bytes: Uint8Array) => void
  #window: Uint8Array[] = []
  #start = 0
  #end = 0
  #isEnded = false

  constructor(chunks: AsyncIterator<Uint8Array>, tap: (bytes: Uint8Array) => void) {
    this.#chunks = chunks
    this.#tap = tap
  }

  get size(): number | null {
    return this.#isEnded ? this.#end : null
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    if (start < this.#start) {
      throw sourceError(`the stream is past ${start} and can't be read again`)
    }
    this.#drop(start)
    // One byte more tells whether the range is the last one.
    while (!this.#isEnded && this.#end <= end) {
      await this.#pull()
      this.#drop(start)
    }
    const [only = new Uint8Array(), ...more] = this.#window
    if (more.length > 0) this.#window = [concat(this.#window)]
    return (this.#window[0] ?? only).subarray(0, Math.max(0, end - start))
  }

  async slice(start: number, end: number): Promise<Piece> {
    return this.read(start, end)
  }

  async close(): Promise<void> {
    this.#window = []
    // Not awaited: a generator that waits for its own source would not return before it gets on.
    if (!this.#isEnded) void this.#chunks.return?.()?.catch(() => undefined)
  }

  async #pull(): Promise<void> {
    const next = await this.#chunks.next().catch((cause: unknown) => {
      throw sourceError('the stream failed', cause)
    })
    if (next.done === true) {
      this.#isEnded = true
      return
    }
    if (!(next.value instanceof Uint8Array)) {
      throw sourceError('the stream gave something else than bytes')
    }
    // Chunks are borrowed from the stream.
    const bytes = new Uint8Array(next.value)
    this.#tap(bytes)
    this.#window.push(bytes)
    this.#end += bytes.byteLength
  }

  /** Lets go of everything before `start`. */
  #drop(start: number): void {
    while (this.#start < start) {
      const [first] = this.#window
      if (first === undefined) return
      const excess = Math.min(first.byteLength, start - this.#start)
      if (excess === first.byteLength) this.#window.shift()
      else this.#window[0] = first.slice(excess)
      this.#start += excess
    }
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.byteLength
  }
  return all
}

/** Not every browser can iterate a `ReadableStream`. */
function iterate(
  source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncIterator<Uint8Array> {
  if (!('getReader' in source)) return source[Symbol.asyncIterator]()
  const reader = source.getReader()
  return {
    next: async () => {
      const { done, value } = await reader.read()
      return done ? { done: true, value: undefined } : { done: false, value }
    },
    return: async () => {
      await reader.cancel()
      return { done: true, value: undefined }
    },
  }
}
