/** How much data a part must have, and the errors for one that has more or less. */
import { UploadError } from '../errors.ts'
import type { Part, PartTarget } from './part.ts'

/** Returns how many bytes of data follow the header. */
export function dataLength(target: PartTarget): number {
  return target.kind === 'range' ? target.end - target.start : 0
}

/** Names the target in the words of its field, but without the complete length of a range. */
export function describeTarget(target: PartTarget): string {
  return target.kind === 'range'
    ? `bytes ${target.start}-${target.end - 1}`
    : `bytes */${target.completeLength}`
}

/** Makes the error for data that exceeds the range. */
export function excessError({ index, target }: Part): UploadError {
  return lengthError(index, `more than ${dataLength(target)} bytes of data`, target)
}

/** Makes the error for data that ended after `received` bytes, before the range did. */
export function shortError({ index, target }: Part, received: number): UploadError {
  return lengthError(index, `${received} bytes of data`, target)
}

function lengthError(index: number, found: string, target: PartTarget): UploadError {
  const detail = `part ${index + 1}: ${found} for ${describeTarget(target)}`
  return new UploadError('ERR_LENGTH', { detail })
}
