/** Formats sizes, times and dates for the user. A line never breaks between a number and its unit. */

/** A no-break space. */
const SPACE = '\u00a0'
/** Units by powers of 1000, as disks and networks are measured. */
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Formats a number of bytes, as `1 byte`, `4.2 MB` or `120 GB`. */
export function formatSize(size: number): string {
  const unit = unitOf(size)
  const bytes = Math.round(size)
  if (unit === 0) return bytes === 1 ? `1${SPACE}byte` : `${bytes}${SPACE}bytes`
  return `${inUnit(size, unit)}${SPACE}${UNITS[unit]}`
}

/**
 * Formats a part of a size, as `3.1 of 4.2 MB`, or as `900 kB of 4.2 MB` if the units differ.
 * The common unit is not repeated, because the line of an upload is long.
 */
export function formatPart(part: number, whole: number): string {
  const unit = unitOf(whole)
  if (part > 0 && unitOf(part) !== unit) return `${formatSize(part)} of ${formatSize(whole)}`
  return `${inUnit(part, unit)} of ${formatSize(whole)}`
}

/** Formats a ratio as a whole number of percent, as `45%`. It is 100% only if nothing is missing. */
export function formatPercent(part: number, whole: number): string {
  return part >= whole ? '100%' : `${Math.floor((part / whole) * 100)}%`
}

/**
 * Formats seconds, as `8 s`, `12 min`, `3 h 20 min` or `4 days`. Two units at most, because an estimate
 * is not more exact.
 */
export function formatDuration(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))}${SPACE}s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes}${SPACE}min`
  const hours = Math.floor(minutes / 60)
  if (hours >= 48) return `${Math.round(hours / 24)}${SPACE}days`
  const rest = minutes % 60
  return `${hours}${SPACE}h${rest === 0 ? '' : `${SPACE}${rest}${SPACE}min`}`
}

// Created once, because `toLocaleTimeString` creates a formatter for each call. With many uploads, that
// took more time than all other code of the page together.
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })

/** Formats the remaining time, as `8 s left`. */
export function formatLeft(seconds: number): string {
  return `${formatDuration(seconds)}${SPACE}left`
}

/**
 * Formats a date, as `today, 14:05`, `yesterday, 14:05` or `3 May 2026`. In English, as the other texts
 * of the page.
 */
export function formatDate(date: Date, now: Date): string {
  const time = TIME.format(date)
  const yesterday = new Date(now)
  yesterday.setDate(now.getDate() - 1)
  if (date.toDateString() === now.toDateString()) return `today,${SPACE}${time}`
  if (date.toDateString() === yesterday.toDateString()) return `yesterday,${SPACE}${time}`
  return DAY.format(date)
}

/** Formats a number of things, as `1 file` or `12 files`. */
export function formatCount(count: number, noun = 'file'): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Returns the index of the unit. A size that would be rounded to 1000 gets the next one. */
function unitOf(size: number): number {
  let unit = 0
  for (let value = size; value >= 999.5 && unit < UNITS.length - 1; value /= 1000) unit += 1
  return unit
}

/** Formats a size in a unit, with a decimal only below 10: three digits say enough. */
function inUnit(size: number, unit: number): string {
  const value = size / 1000 ** unit
  return value.toFixed(unit > 0 && value > 0 && value < 9.95 ? 1 : 0)
}
