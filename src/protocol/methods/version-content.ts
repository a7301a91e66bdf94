/**
 * Reads the content of an answer to GET: one or more ranges of one version. It is read while it is
 * sent, because a version may be larger than the memory.
 */
import type { Reader } from '../../storage/adapter.ts'

/** A range of a version, in bytes; `end` is exclusive. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The part of a version that is sent. */
export interface VersionContent {
  /** At least one range, in the order in which they are sent. */
  readonly ranges: readonly Range[]
  /** The headers and the end of a `multipart/byteranges`; left out for a single range. */
  readonly framing?: Framing
}

const EMPTY: Range = { start: 0, end: 0 }

/** The bytes around the ranges of a `multipart/byteranges`. */
interface Framing {
  /** Returns the delimiter and the header before the data of a range. */
  readonly header: (range: Range) => Uint8Array
  /** The close-delimiter after the last range. */
  readonly trailer: Uint8Array
}

/**
 * Reads the first chunk and returns the content. A version that can't be read any more is so
 * noticed before anything is sent. The content closes the reader at its end or when the iteration
 * is left early, but not if it is never iterated.
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

/** Yields the content, whose first chunk has been read, and closes the reader. */
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
