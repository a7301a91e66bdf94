/** Formats sizes, times and names for the user. */

const ELLIPSIS = '…'
/** Characters that control a terminal or the direction of text, and halves of surrogate pairs. */
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Formats a number of bytes with a decimal unit, as `512 bytes`, `4.2 MB` or `120 GB`. */
export function formatSize(size: number): string {
  let unit = 0
  let value = size
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${value.toFixed(unit > 0 && value < 9.95 ? 1 : 0)} ${UNITS[unit]}`
}

/** Formats seconds as `0:07`, `12:30` or `1:02:03`. */
export function formatTime(seconds: number): string {
  const all = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${tail}` : tail
}

/**
 * Replaces characters that control the terminal instead of being printed. File names, URLs and
 * texts of a server may contain escape sequences that move the cursor, line breaks that add a false
 * line, and bidirectional controls that show the characters of a name in another order.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, '\ufffd')
}

/**
 * Escapes the same characters in JSON text, where an escape keeps the value and a replacement would
 * not.
 */
export function escapeControls(json: string): string {
  return json.replace(
    CONTROLS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Returns the beginning of a text that fits into `columns` columns. */
export function fitStart(text: string, columns: number): string {
  let width = 0
  let fitting = ''
  for (const character of text) {
    width += widthOf(character)
    if (width > columns) break
    fitting += character
  }
  return fitting
}

/**
 * Returns the end of a path that fits into `columns` columns, after an ellipsis. The end has the
 * file's name.
 */
export function fitEnd(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  const room = columns - widthOf(ELLIPSIS)
  let width = 0
  let rest = ''
  for (const character of Array.from(text).toReversed()) {
    width += widthOf(character)
    if (width > room) break
    rest = character + rest
  }
  return `${ELLIPSIS}${rest}`
}

/**
 * Returns an upper bound of the columns that a text takes. Terminals disagree about the width of
 * many characters, so that all beyond Latin, Greek, Cyrillic, Hebrew, Arabic and other scripts
 * below U+1100 count as two columns. A bound is enough, because its purpose is that a line does not
 * wrap.
 */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += (character.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2
  return width
}
