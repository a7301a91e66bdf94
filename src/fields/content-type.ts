/** Parses and compares media types (RFC 9110 §8.3.1), and guesses them from file names. */
import mime from 'mime'
import { parseParameters, TOKEN, unquote } from './syntax.ts'

/** A media type with its parameters. */
export interface MediaType {
  /** Type and subtype in lower case: `multipart/byteranges`. */
  readonly type: string
  /** Values by name in lower case. Quotation marks and escapes of quoted-strings are removed. */
  readonly parameters: ReadonlyMap<string, string>
}

const TYPE = new RegExp(`^[ \\t]*(${TOKEN}/${TOKEN})`)

/** Reads a media type. Returns null if it is malformed or has two parameters of the same name. */
export function parseMediaType(value: string): MediaType | null {
  const type = TYPE.exec(value)
  if (!type) return null
  const parameters = parseParameters(value, type[0].length)
  if (parameters === null) return null
  return {
    type: type[1]!.toLowerCase(),
    parameters: new Map([...parameters].map(([name, sent]) => [name, unquote(sent)])),
  }
}

/**
 * Returns whether two media types are equal, regardless of the order and the quoting of their
 * parameters.
 */
export function isSameMediaType(first: MediaType, second: MediaType): boolean {
  return (
    first.type === second.type &&
    first.parameters.size === second.parameters.size &&
    [...first.parameters].every(([name, value]) => second.parameters.get(name) === value)
  )
}

/**
 * Returns whether a media type can be stored and sent as a response field: at most 255 bytes, and
 * only ASCII, even in a quoted-string. Node throws for other characters when the field is set,
 * which would make each later GET fail.
 */
export function isServable(value: string): boolean {
  return value.length <= 255 && /^[\t -~]*$/.test(value)
}

/**
 * Returns the media type for the extension of a file name; null for an unknown one. Text gets the
 * charset UTF-8, as in express.static, because browsers read text without a charset as
 * windows-1252.
 */
export function mediaTypeOfName(path: string): string | null {
  // `mime` treats a name without a dot, such as `png`, as an extension. A slash before it prevents
  // that.
  const type = mime.getType(`/${path}`)
  return type?.startsWith('text/') ? `${type}; charset=utf-8` : type
}
