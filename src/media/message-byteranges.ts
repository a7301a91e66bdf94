/**
 * Parses `message/byteranges` of the first draft: field lines, a blank line, and the data of one
 * range, which ends with the content. The data needs no delimiter, so it is passed on without being
 * searched.
 */
import { UploadError } from '../errors.ts'
import { HeaderBlock } from './header-block.ts'
import type { PartEvent, PartLimits, PartParser } from './part.ts'
import { readPart } from './part-fields.ts'
import { closePart, PartData } from './part-length.ts'

/** The limits of a message, and the length that the request announced for it. */
export interface MessageOptions extends PartLimits {
  /**
   * Length of the whole message in bytes; null if unknown. With it, data that does not fit its
   * range is refused before any of it is stored.
   */
  readonly contentLength: number | null
}

/** Parses a message with one range. */
export class MessageByterangesParser implements PartParser {
  readonly #options: MessageOptions
  readonly #header: HeaderBlock
  /** The data of the part; null until its header has been read. */
  #data: PartData | null = null

  constructor(options: MessageOptions) {
    this.#options = options
    this.#header = new HeaderBlock(options.maxPartHeaderSize)
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    if (this.#data) return this.#data.take(chunk)
    const header = readPart(this.#header, chunk, 0, null, this.#options)
    if (!header) return []
    const { contentLength, maxSize } = this.#options
    const part =
      contentLength === null
        ? header.part
        : closePart(header.part, contentLength - this.#header.size, maxSize)
    this.#data = new PartData(part, maxSize)
    return [{ type: 'part', part }, ...this.#data.take(chunk.subarray(header.end))]
  }

  end(): readonly PartEvent[] {
    if (!this.#data) throw this.#unfinished()
    this.#data.end()
    return []
  }

  /** Makes the error for content that ends inside the header. */
  #unfinished(): UploadError {
    const detail =
      this.#header.size === 0
        ? 'the content is empty'
        : 'the content ends before the blank line after the header'
    return new UploadError('ERR_SYNTAX', { detail })
  }
}
