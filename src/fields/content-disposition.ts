/**
 * Parses `Content-Disposition` (RFC 6266), which has the name and the modification time of the
 * client's file. A client sends it with an upload, and the server stores it and sends it with a
 * download. So everything that a browser could misread has to be refused when it is received.
 */
import { UploadError } from '../errors.ts'
import { parseParameters, TOKEN, trimWhitespace, unquote } from './syntax.ts'

/** A parsed value. */
interface ContentDisposition {
  /** Disposition type in lower case, such as `attachment`. */
  readonly type: string
  /** Values as they were sent, with their quotes, by name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * Largest length of a value, in bytes. The value is stored with each resource. Beyond it: 400
 * `ERR_FIELD`.
 */
const MAX_LENGTH = 1024
/**
 * Allowed characters of a value: visible ASCII, space and tab. Others have no defined meaning in a
 * response field.
 */
const VISIBLE = /^[\t -~]*$/
const TYPE = new RegExp(`^${TOKEN}`)

/** The parameters that are dates (RFC 2183 §2). */
const DATES = ['creation-date', 'modification-date', 'read-date']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
// A date of RFC 5322 §3.3, without comments: Wed, 12 Feb 1997 16:29:51 -0500
const DATE = new RegExp(
  `^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) (${MONTHS.join('|')}) ([0-9]{4}) ` +
    '(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60))? (?:[+-][0-9]{2}[0-5][0-9]|GMT|UT)$',
)

// A value of RFC 8187 §3.2.1, with charset and language: UTF-8'en'na%C3%AFve.txt
const EXTENDED =
  /^(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)$/i

/**
 * Characters that make a name look like another one: controls, line separators, marks that reorder
 * text.
 */
const CONFUSING = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Validates the field, and returns its value as it was sent; null if there is none. Several equal
 * lines count as one.
 *
 * @throws UploadError `ERR_FIELD` for a malformed value, one of more than 1 KiB, and lines that
 * differ.
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

/**
 * Returns whether two valid values are equal, whatever the order and the quoting of their
 * parameters are.
 */
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
 * Returns the file name of a valid value; null if it has none. `filename*` takes precedence over
 * `filename`. Only the last segment of a path is returned (RFC 6266 §4.3), and `.` and `..` count
 * as no name. The name is safe to display, because control characters and marks that reorder text
 * are replaced by `_`.
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

/**
 * Splits a value. A parameter must not repeat, because recipients would differ in which one counts.
 */
function parse(value: string): ContentDisposition {
  const type = TYPE.exec(value)?.[0]
  const parameters = type === undefined ? null : parseParameters(value, type.length)
  if (type === undefined || parameters === null) {
    throw malformed('it does not read "type; parameter=value", each parameter once')
  }
  return { type: type.toLowerCase(), parameters }
}

/** Whether the text is a date that exists: 31 Feb has the right form, but is none. */
function isDate(text: string): boolean {
  const [, day = '', month = '', year = ''] = DATE.exec(text) ?? []
  const date = new Date(0)
  date.setUTCFullYear(Number(year), MONTHS.indexOf(month), Number(day))
  return day !== '' && date.getUTCDate() === Number(day)
}

/**
 * Decodes a value of RFC 8187. ISO-8859-1 is decoded by hand, because `decodeURIComponent` knows
 * only UTF-8.
 */
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
