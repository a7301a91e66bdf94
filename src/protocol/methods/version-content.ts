/** The content of an answer to GET: ranges of one version, which is read while it is sent. */
import type { Reader } from '../../storage/adapter.ts'

export interface Range {
  readonly start: number
  readonly end: number
}

/** What is sent of a version. */
export interface VersionContent {
  /** At least one, in the order in which they are sent. */
  readonly ranges: readonly Range[]
  /** What a `multipart/byteranges` has around its ranges; left out for a single range. */
  readonly framing?: Framing
}

const EMPTY: Range = { start: 0, end: 0 }

interface Framing {
  readonly header: (range: Range) => Uint8Array
  readonly trailer: Uint8Array
}

/**
 * Reads the first chunk, so that a version that can't be read any more is noticed before anything is sent. The
 * returned content closes the reader once its iteration has begun.
 *
 * @throws UploadError `ERR_CONFLICT` when the version was lost to a writer.
 */
export async function openContent(
  reader: Reader,
  content: VersionContent,
): Promise<AsyncIterable<Uint8Array>> {
  const [{ start, end } = EMPTY] = content.ranges
  const chunks = reader.read(start, end)[Symbol.asyncIterator]()
  const first = await chunks.next()
  return readAndClose(reader, content, first, chunks)
}

async function* readAndClose(
  reader: Reader,
  { ranges: [range = EMPTY, ...more], framing }: VersionContent,
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncIterator<Uint8Array, unknown>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (framing !== undefined) yield framing.header(range)
    if (first.done !== true) yield first.value
    yield* { [Symbol.asyncIterator]: () => rest }
    for (const next of more) {
      if (framing !== undefined) yield framing.header(next)
      yield* reader.read(next.start, next.end)
    }
    if (framing !== undefined) yield framing.trailer
  } finally {
    await rest.return?.()
    await reader.close()
  }
}
