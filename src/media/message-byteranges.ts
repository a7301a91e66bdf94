/** `message/byteranges` (the seed): field lines, a blank line, and the data of one range. */
import { UploadError } from '../errors.ts'
import { HeaderBlock } from './header-block.ts'
import type { Part, PartEvent, PartLimits, PartParser } from './part.ts'
import { readPart } from './part-fields.ts'
import { dataLength, excessError, shortError } from './part-length.ts'

/** What is known of a message before it is read. */
export interface MessageOptions extends PartLimits {
  /** Bytes of the whole message; null if unknown. With it a wrong length shows before any data. */
  readonly contentLength: number | null
}

/** Parser of a message with one range. */
export class MessageByterangesParser implements PartParser {
  readonly #options: MessageOptions
  readonly #header: HeaderBlock
  #part: Part | null = null
  #received = 0

  constructor(options: MessageOptions) {
    this.#options = options
    this.#header = new HeaderBlock(options.maxPartHeaderSize)
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    if (this.#part) return this.#readData(this.#part, chunk)
    const header = readPart(this.#header, chunk, 0, 0, this.#options)
    if (!header) return []
    this.#part = header.part
    this.#checkContentLength(header.part)
    const data = this.#readData(header.part, chunk.subarray(header.end))
    return [{ type: 'part', part: header.part }, ...data]
  }

  end(): readonly PartEvent[] {
    if (!this.#part) throw this.#unfinished()
    if (this.#received < dataLength(this.#part.target)) throw shortError(this.#part, this.#received)
    return []
  }

  #checkContentLength(part: Part): void {
    const { contentLength } = this.#options
    if (contentLength === null) return
    const available = contentLength - this.#header.size
    if (available !== dataLength(part.target)) throw shortError(part, available)
  }

  #readData(part: Part, bytes: Uint8Array): readonly PartEvent[] {
    if (bytes.length === 0) return []
    this.#received += bytes.length
    if (this.#received > dataLength(part.target)) throw excessError(part)
    return [{ type: 'data', bytes }]
  }

  #unfinished(): UploadError {
    const detail =
      this.#header.size === 0
        ? 'the content is empty'
        : 'part 1: the content ends before the blank line after the header'
    return new UploadError('ERR_SYNTAX', { detail })
  }
}
