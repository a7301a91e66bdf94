/** A patch up to its first part, by which the writer is opened. */
import { UploadError } from '../../errors.ts'
import type { PatchFormat } from '../../media/parse.ts'
import type { Part, PartEvent } from '../../media/part.ts'
import type { Transaction, Writer } from '../../storage/adapter.ts'
import { withPartDigests } from '../part-digests.ts'
import { inSlices } from '../yielding.ts'
import type { Content } from './content.ts'

/** A patch whose first part is known, and whatever of the rest has arrived. */
export interface IncomingPatch {
  readonly multipart: boolean
  readonly first: Part
  /** The events of the batch that brought the first part. */
  readonly head: readonly PartEvent[]
  /** The events of later batches. */
  readonly rest: AsyncIterator<readonly PartEvent[]>
  /** Tells the parser that the content has ended. */
  readonly end: () => void
  /** The bytes of the content before the data of the first part. */
  readonly preface: readonly Uint8Array[]
  readonly verifiesTrailer: boolean
  readonly transaction: Transaction
  readonly reprDigest: string | null
  readonly owner: string | null
}

type FirstPartOptions = Pick<IncomingPatch, 'transaction' | 'reprDigest' | 'owner'>

/** Reads up to the first part; content that is there whole is parsed, and so checked, to its end. */
export async function readFirstPart(
  { body, isWhole, verifiesTrailer }: Content,
  { parser: syntax, multipart }: PatchFormat,
  options: FirstPartOptions,
): Promise<IncomingPatch> {
  const parser = withPartDigests(syntax)
  const preface: Uint8Array[] = []
  let hasPart = false
  async function* parse(): AsyncGenerator<readonly PartEvent[], void, undefined> {
    for await (const chunks of body) {
      const events: PartEvent[] = []
      for await (const chunk of inSlices(chunks)) {
        const found = parser.write(chunk)
        if (!hasPart) preface.push(beforeData(chunk, found))
        hasPart ||= found.length > 0
        events.push(...found)
      }
      yield events
    }
  }
  const rest = parse()
  const end = (): void => {
    if (!isWhole) parser.end()
  }
  try {
    while (true) {
      const step = await rest.next()
      const head = step.done === true ? parser.end() : step.value
      const [event] = head
      if (event?.type === 'part') {
        if (isWhole) parser.end()
        const { part: first } = event
        const transaction = first.contentDigest === null ? options.transaction : 'atomic'
        return {
          ...options,
          transaction,
          multipart,
          first,
          head,
          rest,
          end,
          preface,
          verifiesTrailer,
        }
      }
      if (step.done === true) {
        throw new UploadError('ERR_SYNTAX', { detail: 'expected a part, found none' })
      }
    }
  } catch (error) {
    await rest.return()
    throw error
  }
}

/** A copy of the bytes of a chunk before its data, which a message has at the end of the chunk. */
function beforeData(chunk: Uint8Array, events: readonly PartEvent[]): Uint8Array {
  const data = events.reduce(
    (sum, event) => sum + (event.type === 'data' ? event.bytes.length : 0),
    0,
  )
  return chunk.slice(0, chunk.length - data)
}

/** The content of a message, put together from its header and the data as it is stored. */
export async function* readBack(
  { preface, first }: IncomingPatch,
  writer: Writer,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* preface
  const { target } = first
  if (target.kind === 'range') yield* writer.read(target.start, target.end)
}
