/**
 * Parses the field lines of a header block inside content: the grammar of RFC 9112 §5, with
 * obs-fold, which a `message/http` may have and a recipient has to unfold (§5.2).
 */
import { UploadError } from '../errors.ts'
import { isToken, trimWhitespace } from '../fields/syntax.ts'

/**
 * The fields of a block. The key is a field name in lower case; the values are those of its lines,
 * in order.
 */
export type FieldLines = ReadonlyMap<string, readonly string[]>

/** Largest number of field lines of one part. Beyond it: 400 `ERR_PATCH_LIMIT`. */
const MAX_FIELDS = 64

/**
 * A status line or a request line, sent by a client that treats `message/byteranges` as
 * `message/http`.
 */
const START_LINE = /^(?:HTTP\/[0-9]|[^ :]+ [^ ]+ HTTP\/[0-9])/

/** Collects the fields of one header, with the rules that all patch formats share. */
export class FieldLinesBuilder {
  readonly #values = new Map<string, string[]>()
  #count = 0

  /** The fields that have been added so far. */
  get lines(): FieldLines {
    return this.#values
  }

  /**
   * Adds a line. White space around the value is removed (RFC 9110 §5.5).
   *
   * @throws UploadError `ERR_SYNTAX` for a name that is not a token, `ERR_PATCH_LIMIT` for too many
   * lines.
   */
  add(name: string, value: string): void {
    this.#count += 1
    if (this.#count > MAX_FIELDS) throw tooMany()
    if (!isToken(name)) throw malformed(`the field name of line ${this.#count} is not a token`)
    const key = name.toLowerCase()
    const values = this.#values.get(key)
    if (values) values.push(trimWhitespace(value))
    else this.#values.set(key, [trimWhitespace(value)])
  }
}

/**
 * Splits a header block, without its blank line, into fields.
 *
 * @throws UploadError `ERR_SYNTAX` for a malformed line, `ERR_PATCH_LIMIT` for too many.
 */
export function parseFieldLines(block: string): FieldLines {
  const fields = new FieldLinesBuilder()
  for (const [index, line] of unfold(block).entries()) {
    const [name, value] = splitLine(line, index + 1)
    fields.add(name, value)
  }
  return fields.lines
}

/**
 * Splits a block, which ends in CRLF, into lines, and replaces each obs-fold by SP (RFC 9112 §5.2).
 */
function unfold(block: string): readonly string[] {
  if (block === '') return []
  if (/^[ \t]/.test(block)) throw malformed('the first line begins with white space')
  return block
    .slice(0, -2)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
}

/**
 * Splits a line into name and value. White space before the colon is refused, as RFC 9112 §5.1
 * demands.
 */
function splitLine(line: string, number: number): readonly [name: string, value: string] {
  if (number === 1 && START_LINE.test(line)) {
    throw malformed('it begins with a start-line instead of its fields')
  }
  const colon = line.indexOf(':')
  if (colon === -1) throw malformed(`line ${number} has no colon`)
  const name = line.slice(0, colon)
  if (/[ \t]$/.test(name)) throw malformed(`line ${number} has white space before its colon`)
  return [name, line.slice(colon + 1)]
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail: `the header block is malformed: ${detail}` })
}

function tooMany(): UploadError {
  const detail = `the header block has more than ${MAX_FIELDS} fields`
  return new UploadError('ERR_PATCH_LIMIT', { detail })
}
