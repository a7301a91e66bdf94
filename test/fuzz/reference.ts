/**
 * Reads whole patch documents by searching the complete text. The results of the parsers are
 * compared with it.
 */
import {
  referenceHeader,
  referenceMediaType,
  referencePart,
  type ReferencePart,
} from './reference-header.ts'

/** A part and its data, each character a byte. */
export interface ReferenceData extends ReferencePart {
  readonly data: string
}

export interface ReferenceLimits {
  readonly maxParts: number
  readonly maxPartHeaderSize: number
  readonly maxSize: number
}

/** The parts of a document; null if the server has to refuse it. */
export type ReferenceDocument = readonly ReferenceData[] | null

interface Line {
  readonly start: number
  readonly end: number
  readonly isClose: boolean
}

const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/
const MAX_LINE_REST = 256

/** Reads a `message/byteranges`. */
export function referenceMessage(text: string, limits: ReferenceLimits): ReferenceDocument {
  const header = splitHeader(text, 0)
  if (header === null) return null
  const part = referenceHeader(text.slice(0, header.end), limits)
  const data = text.slice(header.end + 2)
  return part && fits(part, data, limits) ? [{ ...part, data }] : null
}

/**
 * Reads a `message/byteranges` whose length is known before its data, which places an open part.
 */
export function referenceKnownMessage(text: string, limits: ReferenceLimits): ReferenceDocument {
  const document = referenceMessage(text, limits)
  const [part] = document ?? []
  return part?.isOpen === true ? [{ ...part, ...placed(part), isOpen: false }] : document
}

/** Returns the range or the offset of a part. That of an open part follows from its data. */
export function placed(part: ReferenceData): Pick<ReferenceData, 'range' | 'offset'> {
  const { offset, data, completeLength } = part
  if (!part.isOpen || offset === null) return part
  if (data === '' && completeLength !== null) return { range: null, offset }
  return { range: [offset, offset + data.length], offset: null }
}

/** Reads a `multipart/byteranges`; a null boundary is the one of its first line. */
export function referenceMultipart(
  text: string,
  boundary: string | null,
  limits: ReferenceLimits,
): ReferenceDocument {
  if (boundary !== null) return readParts(`\r\n${text}`, `\r\n--${boundary}`, limits)
  const rest = text.replace(/^(?:\r\n)+/, '')
  const line = rest.slice(0, Math.max(0, rest.indexOf('\r\n')))
  const named = line.slice(2).replace(/ +$/, '')
  if (line.length > 72 || !line.startsWith('--') || !BOUNDARY.test(named)) return null
  return readParts(`\r\n${rest}`, `\r\n--${named}`, limits)
}

/** Reads an `application/byteranges`. */
export function referenceBinary(text: string, limits: ReferenceLimits): ReferenceDocument {
  const parts: ReferenceData[] = []
  let rest = text
  while (rest !== '') {
    const framing = readInteger(rest)
    const read = framing?.value === 8n ? readKnown : readIndeterminate
    if (framing === null || (framing.value !== 8n && framing.value !== 10n)) return null
    const found = read(framing.rest, limits)
    if (found === null || parts.length === limits.maxParts) return null
    const part = referencePart(found.lines, limits)
    if (part === null) return null
    const whole = { ...part, data: found.data }
    const isFit = fits(part, found.data, limits)
    if (!isFit) return null
    parts.push(framing.value === 8n ? { ...whole, ...placed(whole), isOpen: false } : whole)
    rest = found.rest
  }
  return parts.length === 0 || !agree(parts) ? null : parts
}

interface Message {
  readonly lines: readonly (readonly [name: string, value: string])[]
  readonly data: string
  readonly rest: string
}

function readKnown(text: string, { maxPartHeaderSize }: ReferenceLimits): Message | null {
  const section = readSized(text)
  const content = section && readSized(section.rest)
  if (!section || !content || section.value.length > maxPartHeaderSize) return null
  if (section.value === '') return null
  const lines: (readonly [string, string])[] = []
  for (let rest = section.value; rest !== '';) {
    const name = readSized(rest)
    const value = name && readSized(name.rest)
    if (!name || !value || name.value === '' || isControlled(value.value)) return null
    lines.push([name.value, value.value])
    rest = value.rest
  }
  return { lines, data: content.value, rest: content.rest }
}

function readIndeterminate(text: string, { maxPartHeaderSize }: ReferenceLimits): Message | null {
  const lines: (readonly [string, string])[] = []
  let rest = text
  for (;;) {
    const name = readSized(rest)
    if (name === null) return null
    rest = name.rest
    if (name.value === '') break
    const value = readSized(rest)
    if (value === null || isControlled(value.value)) return null
    lines.push([name.value, value.value])
    rest = value.rest
    if (text.length - rest.length > maxPartHeaderSize) return null
  }
  let data = ''
  for (;;) {
    const piece = readSized(rest)
    if (piece === null) return null
    rest = piece.rest
    if (piece.value === '') return { lines, data, rest }
    data += piece.value
  }
}

function readInteger(text: string): { readonly value: bigint; readonly rest: string } | null {
  const width = 1 << (text.charCodeAt(0) >> 6)
  if (text === '' || text.length < width) return null
  const hex = Buffer.from(text.slice(0, width), 'latin1').toString('hex')
  const value = BigInt(`0x${hex}`) & ((1n << BigInt(8 * width - 2)) - 1n)
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? null : { value, rest: text.slice(width) }
}

function readSized(text: string): { readonly value: string; readonly rest: string } | null {
  const length = readInteger(text)
  if (length === null || length.value > BigInt(length.rest.length)) return null
  const end = Number(length.value)
  return { value: length.rest.slice(0, end), rest: length.rest.slice(end) }
}

function isControlled(text: string): boolean {
  return [...text].some(
    (character) => /\p{Cc}/u.test(character) && character < '\x80' && character !== '\t',
  )
}

function readParts(text: string, needle: string, limits: ReferenceLimits): ReferenceDocument {
  const parts: ReferenceData[] = []
  let line = findLine(text, needle, 0)
  while (line !== null && !line.isClose) {
    if (parts.length === limits.maxParts) return null
    const header = splitHeader(text, line.end)
    if (header === null) return null
    const part = referenceHeader(text.slice(line.end, header.end), limits)
    // The line end of the blank line may also be that of the delimiter, if the part has no data.
    line = findLine(text, needle, header.end)
    if (part === null || line === null) return null
    const data = text.slice(header.end + 2, Math.max(line.start, header.end + 2))
    if (!fits(part, data, limits)) return null
    parts.push({ ...part, data })
  }
  return line === null || parts.length === 0 || !agree(parts) ? null : parts
}

/** Finds the next delimiter; null if there is none, or one with too much padding before it. */
function findLine(text: string, needle: string, from: number): Line | null {
  for (let at = text.indexOf(needle, from); at !== -1; at = text.indexOf(needle, at + 1)) {
    const rest = text.slice(at + needle.length)
    const held = /^(?:--)?[ \t]*\r?/.exec(rest)![0]
    if (held.length > MAX_LINE_REST) return null
    const match = /^(--)?[ \t]*\r\n/.exec(rest) ?? /^(--)[ \t]*$/.exec(rest)
    if (!match) continue
    const end = at + needle.length + match[0].length
    return { start: at, end, isClose: match[1] !== undefined }
  }
  return null
}

/**
 * Returns the position of the blank line after a header; null if the blank line or the header is
 * missing.
 */
function splitHeader(text: string, start: number): { readonly end: number } | null {
  if (text.startsWith('\r\n', start)) return null
  const end = text.indexOf('\r\n\r\n', start)
  return end === -1 ? null : { end: end + 2 }
}

/**
 * Whether the parts agree. Type and complete length belong to the resource, so that two parts must
 * not name different ones.
 */
function agree(parts: readonly ReferenceData[]): boolean {
  const lengths = parts.flatMap(({ completeLength }) => completeLength ?? [])
  const types = parts.flatMap(({ contentType }) => contentType ?? [])
  return new Set(lengths).size <= 1 && new Set(types.map(referenceMediaType)).size <= 1
}

/** Whether the part may have this data. */
function fits(part: ReferencePart, data: string, { maxSize }: ReferenceLimits): boolean {
  const { range, offset, isOpen, completeLength } = part
  if (isOpen) return offset! + data.length <= (completeLength ?? maxSize)
  return data.length === (range === null ? 0 : range[1] - range[0])
}
