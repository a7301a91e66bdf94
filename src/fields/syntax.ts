/**
 * The grammar that several fields share (RFC 9110 §5.6). All patterns are sticky or anchored and
 * match in linear time, because a client chooses their input, and a slow pattern would block the
 * server for all clients.
 */

/** A token (RFC 9110 §5.6.2), as the source of a regular expression. */
export const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

/** A quoted-string (RFC 9110 §5.6.4), as the source of a regular expression. */
export const QUOTED_STRING =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"'

const WHOLE_TOKEN = new RegExp(`^${TOKEN}$`)
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|${QUOTED_STRING}))?`, 'y')
const REST = /[ \t]*$/y

/** Returns whether the whole text is one token. */
export function isToken(text: string): boolean {
  return WHOLE_TOKEN.test(text)
}

/**
 * Removes SP and HTAB (RFC 9110 §5.6.3) from both ends. `String.trim` would also remove other
 * characters.
 */
export function trimWhitespace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWhitespace(text.charCodeAt(start))) start++
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Returns whether a `Content-Encoding` names no coding but `identity`. True for an empty list. */
export function isIdentity(contentEncoding: string): boolean {
  return /^(?:[ \t,]|identity(?=[ \t,]|$))*$/i.test(contentEncoding)
}

/**
 * Returns the value of a token or a quoted-string, without the quotation marks and escapes of the
 * latter.
 */
export function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text
}

/**
 * Reads the parameters from `start` to the end of a value (RFC 9110 §5.6.6). Returns their values
 * by name in lower case, as they were sent, with the quotation marks. Returns null if they are
 * malformed or two have the same name, because recipients differ in which of the two counts.
 */
export function parseParameters(value: string, start: number): ReadonlyMap<string, string> | null {
  const parameters = new Map<string, string>()
  let at = start
  for (;;) {
    PARAMETER.lastIndex = at
    const match = PARAMETER.exec(value)
    if (!match) break
    at = PARAMETER.lastIndex
    if (match[1] === undefined || match[2] === undefined) continue
    const name = match[1].toLowerCase()
    if (parameters.has(name)) return null
    parameters.set(name, match[2])
  }
  REST.lastIndex = at
  return REST.test(value) ? parameters : null
}

/**
 * Returns the value of decimal digits; null if it is above 2^53 - 1, where a double loses digits.
 */
export function parseSafeInteger(digits: string): number | null {
  const value = Number(digits)
  // A larger number may be rounded, but never below 2^53, so that it does not become a safe
  // integer.
  return Number.isSafeInteger(value) ? value : null
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
