/** The grammar that fields share (RFC 9110 §5.6). All patterns are sticky or anchored, and match in linear time. */

/** A token (RFC 9110 §5.6.2), as the source of a pattern. */
export const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

/** A quoted-string (RFC 9110 §5.6.4), as the source of a pattern. */
export const QUOTED_STRING =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"'

const WHOLE_TOKEN = new RegExp(`^${TOKEN}$`)
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|${QUOTED_STRING}))?`, 'y')
const REST = /[ \t]*$/y

/** Returns whether the whole text is one token. */
export function isToken(text: string): boolean {
  return WHOLE_TOKEN.test(text)
}

/** Removes optional whitespace (SP and HTAB only, RFC 9110 §5.6.3) from both ends. */
export function trimWhitespace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWhitespace(text.charCodeAt(start))) start++
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Whether a `Content-Encoding` names no coding except `identity`. True for an empty list. */
export function isIdentity(contentEncoding: string): boolean {
  return /^(?:[ \t,]|identity(?=[ \t,]|$))*$/i.test(contentEncoding)
}

/** Returns the value of a token or quoted-string: the latter without quotes and escapes. */
export function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text
}

/**
 * Reads the parameters from `start` to the end of a value (RFC 9110 §5.6.6). Returns their values as sent, by name
 * in lower case; null if they are malformed or two have the same name.
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

/** Returns the number that decimal digits stand for; null if it is not a safe integer. */
export function parseSafeInteger(digits: string): number | null {
  const value = Number(digits)
  // Rounding keeps the order, so no number above 2^53 - 1 turns into a safe one.
  return Number.isSafeInteger(value) ? value : null
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
