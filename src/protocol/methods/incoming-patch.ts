/** Reads a patch document from the content of a request, and yields the events of its parser. */
import { UploadError } from '../../errors.ts'
import type { PatchFormat } from '../../media/parse.ts'
import type { Part, PartEvent } from '../../media/part.ts'
import type { Writer } from '../../storage/adapter.ts'
import { withPartDigests } from '../part-digests.ts'
import { inSlices } from '../yielding.ts'
import type { Content } from './content.ts'

const NO_BYTES = new Uint8Array(0)

/** A patch whose first part is known. */
export interface IncomingPatch {
  /** The first part, which decides how the writer is opened. */
  readonly first: Part
  /** The events that came with the first part. */
  readonly head: readonly PartEvent[]
  /** Waits for more content, and returns its events; null once the content has ended. */
  readonly next: () => Promise<readonly PartEvent[] | null>
  /**
   * Checks that the document has ended with the content.
   *
   * @throws UploadError `ERR_SYNTAX`, `ERR_LENGTH`
   */
  end(): void
  /** Stops reading the content, also before its end. */
  close(): Promise<void>
  /** Reads the content of a message again: the header from memory, the data from the storage. */
  readBack(writer: Writer): AsyncIterable<Uint8Array>
}

/**
 * Reads a patch up to its first part. Content that has been read completely is parsed to its end, so that a
 * malformed document is refused before the lock is acquired.
 */
export async function readPatch(
  { body, isWhole }: Content,
  { parser: syntax }: PatchFormat,
): Promise<IncomingPatch> {
  const parser = withPartDigests(syntax)
  const batches = body[Symbol.asyncIterator]()
  /** The bytes of the content before the data of the first part. */
  const preface: Uint8Array[] = []
  let hasPart = false
  let dataSize = 0

  async function next(): Promise<readonly PartEvent[] | null> {
    const step = await batches.next()
    if (step.done === true) return null
    const events: PartEvent[] = []
    await inSlices(step.value, (chunk) => {
      for (const event of take(chunk)) events.push(event)
    })
    return events
  }

  function take(chunk: Uint8Array): readonly PartEvent[] {
    const events = parser.write(chunk)
    const size = dataSizeOf(events)
    // The data of a message ends where the chunk ends, so all bytes before it are the header.
    if (!hasPart) preface.push(chunk.slice(0, chunk.length - size))
    hasPart ||= events.length > 0
    dataSize += size
    return events
  }

  async function close(): Promise<void> {
    await batches.return?.()
  }

  async function readHead(): Promise<{ first: Part; head: readonly PartEvent[] }> {
    // The part of a PUT is known before any content is read.
    let events: readonly PartEvent[] | null = take(NO_BYTES)
    for (;;) {
      const head = events ?? parser.end()
      const [event] = head
      if (event?.type === 'part') return { first: event.part, head }
      if (events === null) {
        throw new UploadError('ERR_SYNTAX', { detail: 'expected a part, found none' })
      }
      events = await next()
    }
  }

  /** Parses the rest of content that has been read completely. */
  async function readRest(): Promise<readonly PartEvent[]> {
    const rest: PartEvent[] = []
    for (let events = await next(); events !== null; events = await next()) rest.push(...events)
    parser.end()
    return rest
  }

  try {
    const { first, head } = await readHead()
    const rest = isWhole ? await readRest() : []
    return {
      first,
      head: [...head, ...rest],
      next,
      end: () => {
        if (!isWhole) parser.end()
      },
      close,
      readBack: async function* (writer) {
        yield* preface
        const { start } = first.target
        if (start !== undefined) yield* writer.read(start, start + dataSize)
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function dataSizeOf(events: readonly PartEvent[]): number {
  let size = 0
  for (const event of events) if (event.type === 'data') size += event.bytes.length
  return size
}
