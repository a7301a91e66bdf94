/** Treats the content of a partial PUT (RFC 9110 §14.5) as the data of one part. The request has the part's header. */
import type { Part, PartEvent, PartParser } from './part.ts'
import { checkSize, closePart, PartData } from './part-length.ts'

/** Parses content that consists only of data. The first call returns the part. */
export class PutContentParser implements PartParser {
  readonly #part: Part
  readonly #data: PartData
  #isBegun = false

  /**
   * @param contentLength Bytes of the content; null if unknown.
   * @throws UploadError `ERR_LENGTH` if the range has another length, `ERR_SIZE_LIMIT` if the resource would be
   * larger than `maxSize`.
   */
  constructor(part: Part, contentLength: number | null, maxSize: number) {
    checkSize(part.target, maxSize)
    this.#part = contentLength === null ? part : closePart(part, contentLength, maxSize)
    this.#data = new PartData(part, maxSize)
  }

  write(chunk: Uint8Array): readonly PartEvent[] {
    return [...this.#begin(), ...this.#data.take(chunk)]
  }

  end(): readonly PartEvent[] {
    this.#data.end()
    return this.#begin()
  }

  #begin(): readonly PartEvent[] {
    if (this.#isBegun) return []
    this.#isBegun = true
    return [{ type: 'part', part: this.#part }]
  }
}
