/**
 * Treats the content of a partial PUT (RFC 9110 §14.5) as a patch of one part, so that PUT and
 * PATCH share one path to the storage. The header of the part is in the fields of the request.
 */
import type { Part, PartEvent, PartParser } from './part.ts'
import { checkSize, closePart, PartData } from './part-length.ts'

/**
 * "Parses" content that is only data: the first call returns the event of the part, and each call
 * its bytes.
 */
export class PutContentParser implements PartParser {
  readonly #part: Part
  readonly #data: PartData
  #isBegun = false

  /**
   * @param contentLength Length of the content in bytes; null if unknown.
   * @param maxSize Largest size of the resource, in bytes.
   * @throws UploadError `ERR_LENGTH` if the range has another length, `ERR_SIZE_LIMIT` if the
   * resource would be larger than `maxSize`.
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
