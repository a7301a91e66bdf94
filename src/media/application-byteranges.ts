/**
 * Parses `application/byteranges` of the later draft: one or more messages of one range each, framed like binary HTTP
 * messages (RFC 9292). Each length comes before its bytes, so that the data is passed on without being searched for
 * delimiters.
 *
 * A message of known length is: 8, length of the fields, fields, length of the content, content. A message of
 * indeterminate length is: 10, fields, a 0, chunks that each begin with their length, a 0. All numbers are varints.
 */
import { UploadError } from '../errors.ts'
import { Agreement } from './agreement.ts'
import { BinaryFields } from './binary-fields.ts'
import type { FieldLines } from './field-lines.ts'
import type { Part, PartEvent, PartLimits, PartParser } from './part.ts'
import { assertPartCount } from './part-count.ts'
import { partOf } from './part-fields.ts'
import { closePart, PartData } from './part-length.ts'
import { VarintReader } from './varint.ts'

/** The framing indicators of the draft. RFC 9292 §3.3 has 0 to 3, for requests and responses. */
const KNOWN_LENGTH = 8
const INDETERMINATE_LENGTH = 10

/** What the parser reads next. */
type State = 'framing' | 'section-length' | 'fields' | 'content-length' | 'chunk-length' | 'data'

/** Parses a sequence of messages. Each message is a part. */
export class ApplicationByterangesParser implements PartParser {
  readonly #limits: PartLimits
  readonly #agreement = new Agreement()
  readonly #varint = new VarintReader()
  #state: State = 'framing'
  /** Number of messages that have begun. */
  #count = 0
  /** Whether the content of the current message is chunked. */
  #isChunked = false
  /** The field section that is being read, or the last one; null before the first. */
  #fields: BinaryFields | null = null
  /** The part of a message of known length between its header and its content length. */
  #part: Part | null = null
  /** The data of the current part; null before the first. */
  #data: PartData | null = null
  /** Number of bytes of the content, or of the current chunk of it, that are still to come. */
  #left = 0

  constructor(limits: PartLimits) {
    this.#limits = limits
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    const events: PartEvent[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#state === 'fields') at = this.#readFields(chunk, at, events)
      else if (this.#state === 'data') at = this.#readData(chunk, at, events)
      else {
        const value = this.#varint.take(chunk[at]!)
        at += 1
        if (value !== null) this.#takeInteger(this.#state, value, events)
      }
    }
    return events
  }

  end(): readonly PartEvent[] {
    // A message ends where the next framing indicator would begin. Anywhere else the content was
    // cut.
    if (this.#count === 0 && !this.#varint.isInside) throw malformed('the content is empty')
    if (this.#state === 'framing' && !this.#varint.isInside) return []
    throw malformed(`part ${Math.max(1, this.#count)}: the content ends inside the message`)
  }

  /** Handles a complete varint, whose meaning depends on the state. */
  #takeInteger(state: Exclude<State, 'fields' | 'data'>, value: number, events: PartEvent[]): void {
    switch (state) {
      case 'framing':
        return this.#beginMessage(value)
      case 'section-length':
        return this.#beginFields(value)
      case 'content-length':
        this.#beginData(closePart(this.#part!, value, this.#limits.maxSize), events)
        return this.#expectData(value)
      case 'chunk-length':
        return this.#expectData(value)
    }
  }

  /** Begins the message with this framing indicator. */
  #beginMessage(framing: number): void {
    if (framing !== KNOWN_LENGTH && framing !== INDETERMINATE_LENGTH) {
      throw malformed(`expected the framing indicator 8 or 10, found ${framing}`)
    }
    this.#count += 1
    assertPartCount(this.#count, this.#limits)
    this.#isChunked = framing === INDETERMINATE_LENGTH
    if (this.#isChunked) this.#beginFields(null)
    else this.#state = 'section-length'
  }

  /** Begins a field section of `length` bytes; null if a terminator ends it. */
  #beginFields(length: number | null): void {
    this.#fields = new BinaryFields(length, this.#limits.maxPartHeaderSize)
    this.#state = 'fields'
  }

  /** Reads more of the field section. Returns the position in the chunk after it. */
  #readFields(chunk: Uint8Array, start: number, events: PartEvent[]): number {
    const section = this.#fields!.read(chunk, start)
    if (section === null) return chunk.length
    const part = this.#toPart(section.fields)
    if (this.#isChunked) {
      this.#beginData(part, events)
      this.#state = 'chunk-length'
    } else {
      this.#part = part
      this.#state = 'content-length'
    }
    return section.end
  }

  /** Validates the fields of a message as the header of a part. */
  #toPart(fields: FieldLines): Part {
    const part = partOf(fields, this.#count - 1, this.#limits)
    this.#agreement.check(part)
    return part
  }

  /** Emits the part, whose data follows. */
  #beginData(part: Part, events: PartEvent[]): void {
    this.#data = new PartData(part, this.#limits.maxSize)
    events.push({ type: 'part', part })
  }

  /**
   * Expects `length` bytes of content, or of a chunk of it. A chunk of 0 bytes ends the content.
   */
  #expectData(length: number): void {
    this.#left = length
    if (length > 0) this.#state = 'data'
    else this.#endData()
  }

  /** Passes on data of the part. Returns the position in the chunk after it. */
  #readData(chunk: Uint8Array, start: number, events: PartEvent[]): number {
    const bytes = chunk.subarray(start, start + this.#left)
    events.push(...this.#data!.take(bytes))
    this.#left -= bytes.length
    if (this.#left === 0 && this.#isChunked) this.#state = 'chunk-length'
    else if (this.#left === 0) this.#endData()
    return start + bytes.length
  }

  /** Checks the length of the data, and expects another message. */
  #endData(): void {
    this.#data!.end()
    this.#state = 'framing'
  }
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail })
}
