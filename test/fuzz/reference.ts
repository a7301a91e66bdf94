/** What a whole patch document means, as an oracle for the parsers: by searching the complete text. */
import { referenceHeader, referenceMediaType, type ReferencePart } from './reference-header.ts'

/** A part and its data, each character a byte. */
export interface ReferenceData extends ReferencePart {
  readonly data: string
}

export interface ReferenceLimits {
  readonly maxParts: number
  readonly maxPartHeaderSize: number
  readonly maxSize: number
}

/** The parts of a document; null if it is to be refused. */
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

/** Reads a `message/byteranges` whose length is known before its data, which places an open part. */
export function referenceKnownMessage(text: string, limits: ReferenceLimits): ReferenceDocument {
  const document = referenceMessage(text, limits)
  const [part] = document ?? []
  return part?.isOpen === true ? [{ ...part, ...placed(part), isOpen: false }] : document
}

/** The range of an open part with its data. */
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

function readParts(text: string, needle: string, limits: ReferenceLimits): ReferenceDocument {
  const parts: ReferenceData[] = []
  let line = findLine(text, needle, 0)
  while (line !== null && !line.isClose) {
    if (parts.length === limits.maxParts) return null
    const header = splitHeader(text, line.end)
    if (header === null) return null
    const part = referenceHeader(text.slice(line.end, header.end), limits)
    // The line end of the blank line may be that of the delimiter, too.
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

/** Where the blank line after a header begins; null if there is none, or no header. */
function splitHeader(text: string, start: number): { readonly end: number } | null {
  if (text.startsWith('\r\n', start)) return null
  const end = text.indexOf('\r\n\r\n', start)
  return end === -1 ? null : { end: end + 2 }
}

/** Type and complete length belong to the resource, so the parts may not name different ones. */
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
