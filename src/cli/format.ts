/** Numbers and names as a person reads them. */

const ELLIPSIS = '…'
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `512 bytes`, `4.2 MB`, `120 GB`. */
export function formatSize(size: number): string {
  let unit = 0
  let value = size
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${value.toFixed(unit > 0 && value < 9.95 ? 1 : 0)} ${UNITS[unit]}`
}

/** `0:07`, `12:30`, `1:02:03`. */
export function formatTime(seconds: number): string {
  const all = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${tail}` : tail
}

/**
 * Replaces what could steer a terminal or add a line: file names, URLs and the words of a server may
 * hold any character. `Bidi_Control` characters go too, because they reorder what is read.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu, '\ufffd')
}

/** Cuts the end off a text so that it takes at most `columns` columns. */
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

/** Cuts the beginning off a path, because its end says more. */
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
 * An upper bound of the columns that a text takes. It counts two for most scripts beyond Latin, Greek,
 * Cyrillic, Hebrew and Arabic, because terminals disagree about many characters; a bound is enough for
 * text that must not wrap.
 */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += (character.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2
  return width
}
