/**
 * Parses `Content-Disposition` (RFC 6266), which has the name and the modification time of a client's file. A client
 * sends it with an upload, and the server sends it with a download.
 */
import { UploadError } from '../errors.ts'
import { parseParameters, TOKEN, trimWhitespace, unquote } from './syntax.ts'

interface ContentDisposition {
  /** Disposition type in lower case, such as `attachment`. */
  readonly type: string
  /** Values as they were sent, with their quotes, by name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Longest value, in bytes. */
const MAX_LENGTH = 1024
/** Characters of a value. It is sent as a response field, in which other octets have no defined meaning. */
const VISIBLE = /^[\t -~]*$/
const TYPE = new RegExp(`^${TOKEN}`)

const DATES = ['creation-date', 'modification-date', 'read-date']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
// RFC 5322 §3.3, without comments: Wed, 12 Feb 1997 16:29:51 -0500
const DATE = new RegExp(
  `^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) (${MONTHS.join('|')}) ([0-9]{4}) ` +
    '(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60))? (?:[+-][0-9]{2}[0-5][0-9]|GMT|UT)$',
)

// RFC 8187 §3.2.1: UTF-8'en'na%C3%AFve.txt
const EXTENDED =
  /^(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)$/i

/** Characters that can disguise a name: controls, line separators, and marks that reorder text. */
const CONFUSING = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Returns the value of the field, given its lines; null if there are none.
 *
 * @throws UploadError `ERR_FIELD` for a malformed value, one beyond 1 KiB, and lines that differ.
 */
export function readContentDisposition(lines: readonly string[]): string | null {
  const [value, ...others] = lines.map(trimWhitespace)
  if (value === undefined) return null
  if (others.some((other) => other !== value)) throw malformed('found two different values')
  if (value.length > MAX_LENGTH) throw malformed(`it is longer than ${MAX_LENGTH} bytes`)
  if (!VISIBLE.test(value)) throw malformed('it has other characters than visible ASCII')
  const { parameters } = parse(value)
  for (const name of DATES) {
    const date = parameters.get(name)
    if (date !== undefined && !isDate(unquote(date))) throw malformed(`its ${name} is not a date`)
  }
  const extended = parameters.get('filename*')
  if (extended !== undefined) decodeExtended(extended)
  return value
}

/** Whether two valid values are equivalent, regardless of the order and the quoting of their parameters. */
export function isSameDisposition(first: string, second: string): boolean {
  if (first === second) return true
  const [one, other] = [parse(first), parse(second)]
  return (
    one.type === other.type &&
    one.parameters.size === other.parameters.size &&
    [...one.parameters].every(([name, value]) => {
      const counterpart = other.parameters.get(name)
      return counterpart !== undefined && unquote(counterpart) === unquote(value)
    })
  )
}

/**
 * Returns the file name of a valid value, from `filename*` rather than `filename`; null if it has none. The name is
 * the last segment of a path (RFC 6266 §4.3). It is safe to display, because control characters and marks that
 * reorder text are replaced by `_`.
 */
export function dispositionName(value: string | null): string | null {
  if (value === null) return null
  const { parameters } = parse(value)
  const extended = parameters.get('filename*')
  const sent =
    extended === undefined ? unquote(parameters.get('filename') ?? '') : decodeExtended(extended)
  const name = sent.replace(/^.*[/\\]/s, '').replace(CONFUSING, '_')
  return ['', '.', '..'].includes(name) ? null : name
}

function parse(value: string): ContentDisposition {
  const type = TYPE.exec(value)?.[0]
  const parameters = type === undefined ? null : parseParameters(value, type.length)
  if (type === undefined || parameters === null) {
    throw malformed('it does not read "type; parameter=value", each parameter once')
  }
  return { type: type.toLowerCase(), parameters }
}

function isDate(text: string): boolean {
  const [, day = '', month = '', year = ''] = DATE.exec(text) ?? []
  const date = new Date(0)
  date.setUTCFullYear(Number(year), MONTHS.indexOf(month), Number(day))
  return day !== '' && date.getUTCDate() === Number(day)
}

function decodeExtended(value: string): string {
  const [, charset = '', text] = EXTENDED.exec(value) ?? []
  if (text === undefined) throw malformed("its filename* does not read UTF-8''name (RFC 8187)")
  if (charset.toLowerCase() !== 'utf-8') {
    return text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number(`0x${hex}`)))
  }
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw malformed('its filename* is not UTF-8', cause)
  }
}

function malformed(what: string, cause?: unknown): UploadError {
  return new UploadError('ERR_FIELD', {
    detail: `the Content-Disposition is malformed: ${what}`,
    cause,
  })
}
