/**
 * Compares the data of a part with the length of its range, and the size of the resource with its
 * limit.
 */
import { UploadError } from '../errors.ts'
import type { Part, PartEvent, PartTarget } from './part.ts'

type OpenTarget = Extract<PartTarget, { kind: 'open' }>

/**
 * Begins the detail of an error with the number of its part, from 1, unless the format has a single
 * part.
 */
export function inPart(index: number | null, detail: string): string {
  return index === null ? detail : `part ${index + 1}: ${detail}`
}

/**
 * Formats the target for an error, in the syntax of its field; a range without its complete length.
 */
export function describeTarget(target: PartTarget): string {
  switch (target.kind) {
    case 'range':
      return `bytes ${target.start}-${target.end - 1}`
    case 'size':
      return `bytes */${target.completeLength}`
    case 'open':
      return `Content-Offset ${target.start}`
  }
}

/**
 * Returns the number of data bytes of a target; if its length is unknown, the largest number that
 * it may have.
 */
export function dataLength(target: PartTarget): number {
  switch (target.kind) {
    case 'range':
      return target.end - target.start
    case 'size':
      return 0
    case 'open':
      return (target.completeLength ?? Infinity) - target.start
  }
}

/**
 * Checks that the resource will not be larger than `limit` bytes, as far as the header of the part
 * shows it.
 *
 * @throws UploadError `ERR_SIZE_LIMIT`
 */
export function checkSize(target: PartTarget, limit: number): void {
  const size = leastSize(target)
  if (size <= limit) return
  throw tooLarge(`the resource would have at least ${size} bytes`, limit)
}

/**
 * Returns the target of a part of unknown length once the length of its data is known, in bytes.
 * Without data the part only confirms the size of the resource, or declares its complete length.
 *
 * @throws UploadError `ERR_RANGE` if the data exceeds the complete length, or ends beyond 2^53 - 1.
 */
export function closeTarget({ start, completeLength }: OpenTarget, length: number): PartTarget {
  const end = start + length
  if (!Number.isSafeInteger(end)) throw misplaced('the data would end beyond 2^53 - 1')
  if (length === 0 && completeLength !== null) return { kind: 'size', completeLength, start }
  if (completeLength === null || end <= completeLength) {
    return { kind: 'range', start, end, completeLength }
  }
  throw misplaced(
    `${length} bytes from ${start} on do not fit in a complete length of ${completeLength}`,
  )
}

/**
 * Compares the range of a part with the length of its data, if that is known before the data
 * arrives, and returns the part. A part of unknown length is returned with its range.
 *
 * @throws UploadError `ERR_LENGTH`, `ERR_RANGE` or `ERR_SIZE_LIMIT`.
 */
export function closePart(part: Part, length: number, maxSize: number): Part {
  const { target } = part
  // A negative length means that the header alone is longer than the announced content.
  if (target.kind !== 'open' || length < 0) {
    if (length === dataLength(target)) return part
    throw lengthError(part, `${length} bytes of data`)
  }
  const closed = closeTarget(target, length)
  checkSize(closed, maxSize)
  return { ...part, target: closed }
}

/**
 * Counts the data of one part while it arrives, and throws as soon as it can't fit the range any
 * more.
 */
export class PartData {
  readonly #part: Part
  readonly #maxSize: number
  /** Largest number of data bytes that the target allows. */
  readonly #limit: number
  /** Number of data bytes so far. */
  #received = 0

  constructor(part: Part, maxSize: number) {
    this.#part = part
    this.#maxSize = maxSize
    this.#limit = dataLength(part.target)
  }

  /**
   * Takes the next bytes of data. Returns their event; none for an empty chunk.
   *
   * @throws UploadError `ERR_LENGTH` for data that exceeds the range, `ERR_SIZE_LIMIT` for data of
   * unknown length that exceeds the largest size of a resource.
   */
  take(bytes: Uint8Array): readonly PartEvent[] {
    if (bytes.length === 0) return []
    const { target } = this.#part
    this.#received += bytes.length
    if (this.#received > this.#limit) {
      throw lengthError(this.#part, `more than ${this.#limit} bytes of data`)
    }
    if (target.kind === 'open' && target.start + this.#received > this.#maxSize) {
      throw tooLarge(`the resource would have more than ${this.#maxSize} bytes`, this.#maxSize)
    }
    return [{ type: 'data', bytes }]
  }

  /**
   * Ends the part at the end of its data.
   *
   * @throws UploadError `ERR_LENGTH` if the data ended before the range did.
   */
  end(): void {
    if (this.#part.target.kind === 'open' || this.#received === this.#limit) return
    throw lengthError(this.#part, `${this.#received} bytes of data`)
  }
}

/** Returns the size in bytes that the resource has at least after the part. */
function leastSize(target: PartTarget): number {
  switch (target.kind) {
    case 'range':
      return target.completeLength ?? target.end
    case 'size':
      return target.completeLength
    case 'open':
      return target.completeLength ?? target.start
  }
}

function misplaced(detail: string): UploadError {
  return new UploadError('ERR_RANGE', { detail })
}

function lengthError({ index, target }: Part, found: string): UploadError {
  const detail = inPart(index, `${found} for ${describeTarget(target)}`)
  return new UploadError('ERR_LENGTH', { detail })
}

function tooLarge(found: string, limit: number): UploadError {
  return new UploadError('ERR_SIZE_LIMIT', {
    detail: `${found}, and at most ${limit} are accepted`,
    members: { limit },
  })
}
