/**
 * Checks that the parts of one patch agree. The type, the name and the complete length in the
 * header of a part belong to the whole resource, so that two different values would leave open
 * which one the client wants.
 */
import { UploadError } from '../errors.ts'
import { isSameDisposition } from '../fields/content-disposition.ts'
import { isSameMediaType, parseMediaType } from '../fields/content-type.ts'
import type { Part } from './part.ts'
import { inPart } from './part-length.ts'

/**
 * Collects the properties of the resource from the parts of one patch. A part may leave each of
 * them out.
 */
export class Agreement {
  #contentType: string | null = null
  #contentDisposition: string | null = null
  #completeLength: number | null = null

  /**
   * Compares a part with the earlier parts of the patch. Two spellings of one media type or name
   * count as the same.
   *
   * @throws UploadError `ERR_SYNTAX` for another type or name, `ERR_RANGE` for another complete
   * length.
   */
  check({ index, target, contentType, contentDisposition }: Part): void {
    if (!isSameType(contentType, this.#contentType)) throw differs(index, 'Content-Type')
    const disposition = this.#contentDisposition ?? contentDisposition
    if (!isSameDisposition(contentDisposition ?? disposition ?? '', disposition ?? '')) {
      throw differs(index, 'Content-Disposition')
    }
    const { completeLength } = target
    if (completeLength !== null && completeLength !== (this.#completeLength ?? completeLength)) {
      const detail = `the complete-length is ${completeLength}, but an earlier part has ${this.#completeLength}`
      throw new UploadError('ERR_RANGE', { detail: inPart(index, detail) })
    }
    this.#contentType ??= contentType
    this.#contentDisposition ??= contentDisposition
    this.#completeLength ??= completeLength
  }
}

/** Returns whether two values name one type, or one of them is absent. */
function isSameType(first: string | null, second: string | null): boolean {
  if (first === null || second === null || first === second) return true
  const [one, other] = [parseMediaType(first), parseMediaType(second)]
  return one !== null && other !== null && isSameMediaType(one, other)
}

function differs(index: number | null, field: string): UploadError {
  return new UploadError('ERR_SYNTAX', {
    detail: inPart(index, `the ${field} differs from that of an earlier part`),
  })
}
