/**
 * Parses `Content-Offset` of the later draft: the position of a part whose length is not known when
 * it begins, such as the output of a program. The field is an integer with parameters (RFC 8941).
 */
import { UploadError } from '../errors.ts'
import type { PartTarget } from '../media/part.ts'
import { BARE_ITEM, KEY } from './structured-field.ts'
import { trimWhitespace } from './syntax.ts'

/** An integer (RFC 8941 §3.3.1). Its 15 digits are below 2^53, so that each is a safe integer. */
const INTEGER = /^-?[0-9]{1,15}$/
const PARAMETER = new RegExp(`; *(${KEY})(?:=(${BARE_ITEM}))?`, 'y')
/** The start of a token; a string would start with a quotation mark. */
const TOKEN = /^[A-Za-z*]/

/**
 * Reads a `Content-Offset`: `200` or `200;complete-length=600`. The parameter `unit` may name
 * bytes; parameters with other names are ignored.
 *
 * @throws UploadError `ERR_RANGE` for a malformed one, `ERR_RANGE_UNIT` for another `unit` than
 * bytes.
 */
export function parseContentOffset(value: string): PartTarget {
  const item = trimWhitespace(value)
  const [offset = ''] = item.split(';', 1)
  const values = parseParameters(item, offset.length)
  if (!INTEGER.test(offset) || values === null) {
    throw malformed('the Content-Offset is not an integer of at most 15 digits, with parameters')
  }
  checkUnit(values.get('unit') ?? 'bytes')
  const start = toPosition('Content-Offset', offset)
  const length = values.get('complete-length')
  const completeLength = length === undefined ? null : toPosition('complete-length', length)
  if (completeLength !== null && completeLength < start) {
    throw malformed(`the Content-Offset ${start} is beyond the complete-length ${completeLength}`)
  }
  return { kind: 'open', start, completeLength }
}

/**
 * Returns the parameters from `start` to the end of an item, by name; null if they are malformed.
 */
function parseParameters(item: string, start: number): ReadonlyMap<string, string> | null {
  const values = new Map<string, string>()
  for (let at = start; at < item.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at
    const [parameter, key = '', value = '?1'] = PARAMETER.exec(item) ?? []
    if (parameter === undefined) return null
    // The last of several parameters with one name counts (RFC 8941 §4.2.3.2). One without a value
    // is `?1`, true.
    values.set(key, value)
  }
  return values
}

function checkUnit(unit: string): void {
  if (!TOKEN.test(unit)) throw malformed('the unit of the Content-Offset is not a token')
  if (unit.toLowerCase() === 'bytes') return
  throw new UploadError('ERR_RANGE_UNIT', { detail: 'the unit of the Content-Offset is not bytes' })
}

/** Returns a number of bytes, 0 or more. */
function toPosition(what: string, text: string): number {
  const position = INTEGER.test(text) ? Number(text) : -1
  if (position < 0) throw malformed(`the ${what} is not an integer of 0 or more`)
  return Math.abs(position) // `-0` is a valid integer, and means 0.
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_RANGE', { detail })
}
