/**
 * Parses and formats `Content-Range` (RFC 9110 §14.4), and parses the `Range` that the first draft
 * puts in the header of a part instead.
 */
import { UploadError } from '../errors.ts'
import type { PartTarget } from '../media/part.ts'
import { parseSafeInteger, TOKEN, trimWhitespace } from './syntax.ts'

/** A range unit and the space after it. A range without unit begins with a digit or `*`. */
const UNIT = new RegExp(`^(?![0-9*])(${TOKEN})[ \\t]+`)
/** `first-last/complete-length`, and `*` for an unknown length. */
const RANGE = /^([0-9]+)-([0-9]+)\/(?:([0-9]+)|\*)$/
/** Only the length, without a range. */
const SIZE = /^\*\/([0-9]+)$/
/** The unit and the range in the grammar of a request's `Range` (RFC 9110 §14.2). */
const REQUEST_UNIT = new RegExp(`^(${TOKEN})=`)
const REQUEST_RANGE = /^([0-9]+)-([0-9]+)$/

/**
 * Reads a `Content-Range`: `bytes 5-9/20`, `bytes 5-9/*` or `bytes *\/20`. The unit may be missing,
 * because the clients of the draft's author omit it. The range may be empty, `bytes 20-19/20`,
 * because such clients send one if no byte is left.
 *
 * @throws UploadError `ERR_RANGE` for a malformed one, `ERR_RANGE_UNIT` for another unit than
 * bytes.
 */
export function parseContentRange(value: string): PartTarget {
  const field = trimWhitespace(value)
  const unit = UNIT.exec(field)
  if (unit) checkUnit(unit[1]!)
  const rest = field.slice(unit?.[0].length ?? 0)
  const size = SIZE.exec(rest)
  if (size) return { kind: 'size', completeLength: toNumber(size[1]!) }
  const range = RANGE.exec(rest)
  if (!range) throw malformed('the Content-Range does not read "bytes first-last/complete-length"')
  return toTarget(range[1]!, range[2]!, range[3])
}

/**
 * Reads the `Range` that the first draft puts inside the message: in the grammar of
 * `Content-Range`, or as one closed range, `bytes=0-199`, without a complete length.
 *
 * @throws UploadError as `parseContentRange`, and `ERR_RANGE` for suffix and open ranges and lists.
 */
export function parseRangeAlias(value: string): PartTarget {
  const field = trimWhitespace(value)
  const unit = REQUEST_UNIT.exec(field)
  if (!unit) return parseContentRange(field)
  checkUnit(unit[1]!)
  // range-parser does not fit: it clips a range to the size of the resource, and this range may
  // extend it.
  const range = REQUEST_RANGE.exec(field.slice(unit[0].length))
  if (!range) throw malformed('the Range in the message is not a single "bytes=first-last"')
  return toTarget(range[1]!, range[2]!, undefined)
}

/**
 * Formats the bytes `start` to `end` (exclusive) as a `Content-Range`. An unknown length, null,
 * becomes `*`.
 */
export function formatContentRange(
  start: number,
  end: number,
  completeLength: number | null,
): string {
  return `bytes ${start}-${end - 1}/${completeLength ?? '*'}`
}

/**
 * Formats a `Content-Range` that names only the length, as a 416 has it (RFC 9110 §14.4): `bytes
 * *\/20`.
 */
export function formatUnsatisfiedRange(completeLength: number): string {
  return `bytes */${completeLength}`
}

function checkUnit(unit: string): void {
  if (unit.toLowerCase() === 'bytes') return
  throw new UploadError('ERR_RANGE_UNIT', { detail: 'the range unit is not "bytes"' })
}

/**
 * Makes the target of a range whose last position is inclusive. All numbers have to be safe
 * integers.
 */
function toTarget(
  firstDigits: string,
  lastDigits: string,
  lengthDigits: string | undefined,
): PartTarget {
  const start = toNumber(firstDigits)
  const last = toNumber(lastDigits)
  const completeLength = lengthDigits === undefined ? null : toNumber(lengthDigits)
  const isEmpty = last === start - 1
  if (last < start && !isEmpty)
    throw malformed(`the range ends at ${last}, before its start at ${start}`)
  if (last === Number.MAX_SAFE_INTEGER) throw tooLarge()
  if (completeLength !== null && completeLength <= last) {
    throw malformed(`bytes ${start}-${last} do not fit in a complete length of ${completeLength}`)
  }
  return { kind: 'range', start, end: last + 1, completeLength }
}

function toNumber(digits: string): number {
  const value = parseSafeInteger(digits)
  if (value === null) throw tooLarge()
  return value
}

function tooLarge(): UploadError {
  return malformed('a number of the range is larger than 2^53 - 1')
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_RANGE', { detail })
}
