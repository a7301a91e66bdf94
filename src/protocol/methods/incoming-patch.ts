/**
 * Reads a patch document from the content of a request, and yields the events of its parser. The
 * first part is read before the storage is opened, because it shows how to open it and whether the
 * request can succeed at all.
 */
import { UploadError } from '../../errors.ts'
import type { PatchFormat } from '../../media/parse.ts'
import type { Part, PartEvent, PartParser } from '../../media/part.ts'
import type { Writer } from '../../storage/adapter.ts'
import type { Body } from '../http.ts'
import { withPartDigests } from '../part-digests.ts'
import { inSlices } from '../yielding.ts'
import type { Content } from './content.ts'

const NO_BYTES = new Uint8Array(0)

/** A patch whose first part has been read. */
export interface IncomingPatch {
  /** The first part, which decides how the writer is opened. */
  readonly first: Part
  /** The events that have been read already: the first part, and the data in the same chunk. */
  readonly head: readonly PartEvent[]
  /**
   * Waits for more content, and returns its events, of which there may be none; null once the
   * content has ended.
   */
  readonly next: () => Promise<readonly PartEvent[] | null>
  /**
   * Checks that the document ends where the content ends.
   *
   * @throws UploadError `ERR_SYNTAX` for a document that ends early, `ERR_LENGTH` for data shorter
   * than its range.
   */
  end(): void
  /**
   * Stops reading the content, even before its end. Called in any case, to release the connection.
   */
  close(): Promise<void>
  /**
   * Yields the content again, for a digest that became known only in the trailer: the header from
   * memory, the data from the storage. Possible for a document of one part only.
   */
  readBack(writer: Writer): AsyncIterable<Uint8Array>
}

/**
 * Reads a patch up to its first part. Content that has been read completely is parsed to its end,
 * so that a malformed document is refused before the lock is acquired.
 */
export async function readPatch(
  { body, isWhole }: Content,
  { parser }: PatchFormat,
): Promise<IncomingPatch> {
  const reader = new EventReader(body, withPartDigests(parser))
  try {
    const { first, head } = await reader.readHead()
    const rest = isWhole ? await reader.readRest() : []
    return {
      first,
      head: [...head, ...rest],
      next: () => reader.next(),
      end: () => {
        if (!isWhole) reader.end()
      },
      close: () => reader.close(),
      readBack: (writer) => reader.readBack(writer, first),
    }
  } catch (error) {
    // The caller gets nothing that it could close, and content that stays open holds the
    // connection.
    await reader.close()
    throw error
  }
}

/**
 * Reads the content, parses it, and remembers what is needed to read the document again from the
 * storage.
 */
class EventReader {
  readonly #parser: PartParser
  readonly #batches: AsyncIterator<readonly Uint8Array[]>
  /** The bytes of the content before the data of the first part. */
  readonly #preface: Uint8Array[] = []
  /** Whether the first part has been read. */
  #hasPart = false
  /** Number of data bytes so far. */
  #dataSize = 0

  constructor(body: Body, parser: PartParser) {
    this.#parser = parser
    this.#batches = body[Symbol.asyncIterator]()
  }

  /** Returns the first part and the events that came with it. */
  async readHead(): Promise<{ first: Part; head: readonly PartEvent[] }> {
    // The part of a partial PUT is in its fields, so that the parser returns it before any content
    // is read.
    let events: readonly PartEvent[] | null = this.#parse(NO_BYTES)
    for (;;) {
      const head = events ?? this.#parser.end()
      const [event] = head
      if (event?.type === 'part') return { first: event.part, head }
      if (events === null) {
        throw new UploadError('ERR_SYNTAX', { detail: 'expected a part, found none' })
      }
      events = await this.next()
    }
  }

  /** Parses the rest of content that has been read completely. */
  async readRest(): Promise<readonly PartEvent[]> {
    const rest: PartEvent[] = []
    for (let events = await this.next(); events !== null; events = await this.next()) {
      rest.push(...events)
    }
    this.end()
    return rest
  }

  /** Returns the events of the next batch of chunks; null once the content has ended. */
  async next(): Promise<readonly PartEvent[] | null> {
    const step = await this.#batches.next()
    if (step.done === true) return null
    const events: PartEvent[] = []
    await inSlices(step.value, (chunk) => {
      for (const event of this.#parse(chunk)) events.push(event)
    })
    return events
  }

  /**
   * Parses a chunk. Up to the first part, copies its bytes, because a chunk is only valid until the
   * next step.
   */
  #parse(chunk: Uint8Array): readonly PartEvent[] {
    const events = this.#parser.write(chunk)
    const size = dataSizeOf(events)
    // In a document of one part the data reaches to the end of the chunk, so all bytes before it
    // are the header.
    if (!this.#hasPart) this.#preface.push(chunk.slice(0, chunk.length - size))
    this.#hasPart ||= events.length > 0
    this.#dataSize += size
    return events
  }

  end(): void {
    this.#parser.end()
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }

  /**
   * Yields the content again: the bytes before the data of the part `first`, and that data from the
   * storage.
   */
  async *readBack(writer: Writer, first: Part): AsyncGenerator<Uint8Array> {
    yield* this.#preface
    const { start } = first.target
    if (start !== undefined) yield* writer.read(start, start + this.#dataSize)
  }
}

/** Returns the number of data bytes in the events. */
function dataSizeOf(events: readonly PartEvent[]): number {
  let size = 0
  for (const event of events) if (event.type === 'data') size += event.bytes.length
  return size
}
