/**
 * Parses and formats HTTP dates (RFC 9110 §5.6.7). `Date.parse` does not suffice: it accepts many
 * other formats, and a precondition must not depend on a guess.
 */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})'
const SHORT_DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day'

/** The three formats that a recipient has to accept: IMF-fixdate, RFC 850, asctime. */
const FORMATS = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(`^${SHORT_DAY}, (?<day>[0-9]{2}) ${MONTH} (?<year>[0-9]{4}) ${TIME} GMT$`),
  // Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(`^${LONG_DAY}, (?<day>[0-9]{2})-${MONTH}-(?<year>[0-9]{2}) ${TIME} GMT$`),
  // Sun Nov  6 08:49:37 1994
  new RegExp(`^${SHORT_DAY} ${MONTH} (?<day>[0-9]{2}| [0-9]) ${TIME} (?<year>[0-9]{4})$`),
]

/**
 * Reads a date in one of the three formats. Returns null for anything else, and for a date that
 * does not exist. A wrong day of the week is accepted, because a precondition without a valid date
 * is ignored, and the write could overwrite the changes of another client.
 *
 * @param now Decides the century of a two-digit year: the latest one for which the date is at most
 * 50 years after `now` (RFC 9110 §5.6.7).
 */
export function parseHttpDate(value: string, now: Date = new Date()): Date | null {
  for (const format of FORMATS) {
    const groups = format.exec(value)?.groups
    if (groups) return toDate(groups, now)
  }
  return null
}

/** Formats a date as an IMF-fixdate. Milliseconds are dropped. */
export function formatHttpDate(date: Date): string {
  return date.toUTCString()
}

/** Makes a date of the groups of a match; null for a time or a day that does not exist. */
function toDate(groups: Record<string, string>, now: Date): Date | null {
  const { year = '', month = '', day = '', hour = '', minute = '', second = '' } = groups
  const clock = [Number(hour), Number(minute), Number(second)] as const
  // 60 is the second of a leap second.
  if (clock[0] > 23 || clock[1] > 59 || clock[2] > 60) return null
  const digits = [Number(day), MONTHS.indexOf(month), Number(year)] as const
  if (year.length === 4) return dateOf(digits, clock)
  const century = Math.floor(now.getUTCFullYear() / 100) * 100
  for (const base of [century + 100, century, century - 100]) {
    const date = dateOf([digits[0], digits[1], base + digits[2]], clock)
    if (date && date <= yearsAfter(now, 50)) return date
  }
  return null
}

/** Makes a date of its numbers; null if the month does not have the day. */
function dateOf(
  [day, month, year]: readonly [day: number, month: number, year: number],
  [hour, minute, second]: readonly [hour: number, minute: number, second: number],
): Date | null {
  const date = new Date(0)
  // Don't use `Date.UTC`, because it treats the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(year, month, day)
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return null
  date.setUTCHours(hour, minute, second)
  return date
}

function yearsAfter(date: Date, years: number): Date {
  const later = new Date(date)
  later.setUTCFullYear(later.getUTCFullYear() + years)
  return later
}
