/** Holds the data of a part to the length of its range. */
import { UploadError } from '../errors.ts'
import type { Part, PartEvent, PartTarget } from './part.ts'

/** Returns how many bytes of data a range has. */
export function dataLength(target: PartTarget): number {
  return target.kind === 'range' ? target.end - target.start : 0
}

/** Names the target in the words of its field, but without the complete length of a range. */
export function describeTarget(target: PartTarget): string {
  return target.kind === 'range'
    ? `bytes ${target.start}-${target.end - 1}`
    : `bytes */${target.completeLength}`
}

/** Counts the data of one part while it arrives. */
export class PartData {
  readonly #part: Part
  #received = 0

  constructor(part: Part) {
    this.#part = part
  }

  /**
   * Takes the next bytes, and returns their event; none for no bytes.
   *
   * @throws UploadError `ERR_LENGTH` for data that exceeds the range.
   */
  take(bytes: Uint8Array): readonly PartEvent[] {
    if (bytes.length === 0) return []
    const { target } = this.#part
    this.#received += bytes.length
    if (this.#received > dataLength(target)) {
      throw lengthError(this.#part, `more than ${dataLength(target)} bytes of data`)
    }
    return [{ type: 'data', bytes }]
  }

  /**
   * Ends the part.
   *
   * @throws UploadError `ERR_LENGTH` if the data ended before the range did.
   */
  end(): void {
    if (this.#received < dataLength(this.#part.target)) checkLength(this.#part, this.#received)
  }
}

/**
 * Compares the length of the data, which is known before the data, with that of the range.
 *
 * @throws UploadError `ERR_LENGTH`
 */
export function checkLength(part: Part, length: number): void {
  if (length !== dataLength(part.target)) throw lengthError(part, `${length} bytes of data`)
}

function lengthError({ index, target }: Part, found: string): UploadError {
  const detail = `part ${index + 1}: ${found} for ${describeTarget(target)}`
  return new UploadError('ERR_LENGTH', { detail })
}
