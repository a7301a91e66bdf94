/** Media types: RFC 9110 §8.3.1. */
import { QUOTED_STRING, TOKEN, unquote } from './syntax.ts'

/** A media type with its parameters. */
export interface MediaType {
  /** Type and subtype in lower case: `multipart/byteranges`. */
  readonly type: string
  /** Values by name in lower case; quoted-strings are unescaped. */
  readonly parameters: ReadonlyMap<string, string>
}

const TYPE = new RegExp(`^[ \\t]*(${TOKEN}/${TOKEN})`)
const PARAMETER = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|${QUOTED_STRING}))?`, 'y')
const REST = /[ \t]*$/y

/** Reads a media type; null if it is malformed or has two parameters of the same name. */
export function parseMediaType(value: string): MediaType | null {
  const type = TYPE.exec(value)
  if (!type) return null
  const parameters = new Map<string, string>()
  let at = type[0].length
  for (;;) {
    PARAMETER.lastIndex = at
    const match = PARAMETER.exec(value)
    if (!match) break
    at = PARAMETER.lastIndex
    if (match[1] === undefined || match[2] === undefined) continue
    const name = match[1].toLowerCase()
    if (parameters.has(name)) return null
    parameters.set(name, unquote(match[2]))
  }
  REST.lastIndex = at
  if (!REST.test(value)) return null
  return { type: type[1]!.toLowerCase(), parameters }
}

/** Tells whether two media types are equal: in any order of parameters and however they are quoted. */
export function isSameMediaType(first: MediaType, second: MediaType): boolean {
  return (
    first.type === second.type &&
    first.parameters.size === second.parameters.size &&
    [...first.parameters].every(([name, value]) => second.parameters.get(name) === value)
  )
}

/**
 * Whether a media type can be sent back as a response field: at most 255 bytes, and of a quoted-string,
 * too, only ASCII.
 */
export function isServable(value: string): boolean {
  return value.length <= 255 && /^[\t -~]*$/.test(value)
}
