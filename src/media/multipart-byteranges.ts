/**
 * Parses `multipart/byteranges` (RFC 9110 §14.6) as a patch: one or more ranges between delimiters.
 * The preamble before the first delimiter and the epilogue after the last one are ignored (RFC 2046
 * §5.1.1).
 */
import { UploadError } from '../errors.ts'
import { Agreement } from './agreement.ts'
import { DelimiterScanner } from './delimiter.ts'
import { HeaderBlock } from './header-block.ts'
import type { PartEvent, PartLimits, PartParser } from './part.ts'
import { assertPartCount } from './part-count.ts'
import { readPart } from './part-fields.ts'
import { PartData } from './part-length.ts'

/** Parses a multipart whose boundary is known. */
export class MultipartByterangesParser implements PartParser {
  readonly #limits: PartLimits
  readonly #scanner: DelimiterScanner
  /** The section of the document that is being read. */
  #state: 'preamble' | 'header' | 'data' | 'epilogue' = 'preamble'
  /** Number of parts that have begun. */
  #count = 0
  /** The header of the current part. */
  #header: HeaderBlock
  /**
   * The data of the current part, or of the part before while a header is read; null in the
   * preamble.
   */
  #data: PartData | null = null
  readonly #agreement = new Agreement()
  /** Whether no byte has arrived. */
  #empty = true

  /** @param boundary A valid boundary (RFC 2046 §5.1.1). */
  constructor(boundary: string, limits: PartLimits) {
    this.#limits = limits
    this.#scanner = new DelimiterScanner(boundary)
    this.#header = new HeaderBlock(limits.maxPartHeaderSize)
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    const events: PartEvent[] = []
    if (chunk.length > 0) this.#empty = false
    let at = 0
    while (at < chunk.length && this.#state !== 'epilogue') {
      at =
        this.#state === 'header'
          ? this.#readHeader(chunk, at, events)
          : this.#scan(chunk, at, events)
    }
    return events
  }

  end(): readonly PartEvent[] {
    // The last line may lack its CRLF, as many senders leave it out (RFC 2046 §5.1.1 does not
    // require it).
    if (this.#state !== 'epilogue' && this.#scanner.endsClosed()) this.#close()
    if (this.#state !== 'epilogue') throw malformed(this.#unfinished())
    return []
  }

  /**
   * Reads more of the header. Returns the position in the chunk at which the next section begins.
   */
  #readHeader(chunk: Uint8Array, start: number, events: PartEvent[]): number {
    const header = readPart(this.#header, chunk, start, this.#count - 1, this.#limits)
    if (!header) return chunk.length
    this.#agreement.check(header.part)
    this.#data = new PartData(header.part, this.#limits.maxSize)
    this.#state = 'data'
    this.#scanner.begin()
    events.push({ type: 'part', part: header.part })
    return header.end
  }

  /**
   * Reads octets up to the next delimiter: data of a part, or the preamble. Returns the position
   * after them.
   */
  #scan(chunk: Uint8Array, start: number, events: PartEvent[]): number {
    const { kind, bytes, end } = this.#scanner.next(chunk, start)
    if (kind === 'delimiter') this.#beginPart()
    else if (kind === 'close-delimiter') this.#close()
    else if (this.#data) events.push(...this.#data.take(bytes))
    return end
  }

  /** Ends the part before a delimiter, and expects the header of the next one. */
  #beginPart(): void {
    this.#data?.end()
    this.#count += 1
    assertPartCount(this.#count, this.#limits)
    this.#header = new HeaderBlock(this.#limits.maxPartHeaderSize)
    this.#state = 'header'
  }

  /** Ends the last part at the close-delimiter. What follows is the epilogue. */
  #close(): void {
    if (!this.#data) throw malformed('expected a part before the close-delimiter')
    this.#data.end()
    this.#state = 'epilogue'
  }

  /** Returns what is missing at the end of the content. */
  #unfinished(): string {
    if (this.#empty) return 'the content is empty'
    if (this.#state === 'preamble') return 'the content has no delimiter with the boundary'
    const where =
      this.#state === 'header'
        ? 'before the blank line after the header'
        : 'without a close-delimiter'
    return `part ${this.#count}: the content ends ${where}`
  }
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail })
}
