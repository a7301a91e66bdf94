/** Parses the header of a part. All patch formats share its fields, whatever their framing is. */
import { UploadError } from '../errors.ts'
import { readContentDisposition } from '../fields/content-disposition.ts'
import { parseContentOffset } from '../fields/content-offset.ts'
import { parseContentRange, parseRangeAlias } from '../fields/content-range.ts'
import {
  isSameMediaType,
  isServable,
  type MediaType,
  parseMediaType,
} from '../fields/content-type.ts'
import { parseDigest, verifiableDigest } from '../fields/digest.ts'
import { isIdentity } from '../fields/syntax.ts'
import { type FieldLines, parseFieldLines } from './field-lines.ts'
import type { HeaderBlock } from './header-block.ts'
import type { Part, PartLimits, PartTarget } from './part.ts'
import { checkSize, closeTarget, dataLength, describeTarget, inPart } from './part-length.ts'

/**
 * Reads more of the header of a part from the chunk. Returns the part and the position of its data
 * in the chunk; null if the header does not end in the chunk.
 *
 * @throws UploadError for a malformed header. The detail begins with the number of the part, if
 * `index` is not null.
 */
export function readPart(
  block: HeaderBlock,
  chunk: Uint8Array,
  start: number,
  index: number | null,
  limits: PartLimits,
): { readonly part: Part; readonly end: number } | null {
  return located(index, () => {
    const header = block.read(chunk, start)
    return header && { part: toPart(parseFieldLines(header.text), index, limits), end: header.end }
  })
}

/** Makes a part from fields that a parser has read already. Throws as `readPart`. */
export function partOf(fields: FieldLines, index: number, limits: PartLimits): Part {
  return located(index, () => toPart(fields, index, limits))
}

/** Validates the fields of a header, and makes a part of them. */
function toPart(fields: FieldLines, index: number | null, { maxSize }: PartLimits): Part {
  checkCodings(fields)
  // Parse every field here, because a malformed one has to be refused before any data is stored.
  const target = contentLengths(fields).reduce(withLength, parseTarget(fields))
  const contentType = parseContentType(fields)
  const contentDisposition = readContentDisposition(fields.get('content-disposition') ?? [])
  const contentDigest = digestField(fields, 'content-digest')
  if (contentDigest !== null) parseDigest(contentDigest)
  const reprDigest = verifiableDigest(digestField(fields, 'repr-digest'))
  checkSize(target, maxSize)
  return { index, target, contentType, contentDisposition, contentDigest, reprDigest }
}

/** Joins the lines of a digest field, which is a list (RFC 9530 §2); null if there are none. */
function digestField(fields: FieldLines, name: string): string | null {
  return fields.get(name)?.join(', ') ?? null
}

/**
 * Refuses data in a coding, because the coded bytes would be stored as the bytes of the resource.
 */
function checkCodings(fields: FieldLines): void {
  if (fields.has('transfer-encoding')) throw malformed('Transfer-Encoding is not allowed here')
  if (isIdentity(fields.get('content-encoding')?.join(',') ?? '')) return
  throw new UploadError('ERR_PART_CODING', {
    detail: 'the Content-Encoding is not identity, and the data would be stored encoded',
  })
}

/** Reads the target from the field that names it. `Content-Offset` excludes the two others. */
function parseTarget(fields: FieldLines): PartTarget {
  const contentRange = parseSingle(fields, 'Content-Range', parseContentRange)
  const range = parseSingle(fields, 'Range', parseRangeAlias)
  const offset = parseSingle(fields, 'Content-Offset', parseContentOffset)
  const target = contentRange ?? range ?? offset
  if (!target) throw badRange('expected Content-Range or Content-Offset, found neither')
  if (offset && target !== offset)
    throw badRange('found Content-Offset beside Content-Range or Range, expected one of them')
  return contentRange && range ? agree(contentRange, range) : target
}

/** Parses a field that may have one line only; null if it is absent. */
function parseSingle(
  fields: FieldLines,
  name: string,
  parse: (value: string) => PartTarget,
): PartTarget | null {
  const [value, ...others] = fields.get(name.toLowerCase()) ?? []
  if (others.length > 0) throw badRange(`expected one ${name}, found several`)
  return value === undefined ? null : parse(value)
}

/**
 * Combines `Content-Range` with the `Range` of the first draft. Both have to name the same range,
 * and the same complete length, which one of them may leave out.
 */
function agree(contentRange: PartTarget, range: PartTarget): PartTarget {
  const completeLength = contentRange.completeLength ?? range.completeLength
  const same =
    describeTarget(contentRange) === describeTarget(range) &&
    completeLength === (range.completeLength ?? completeLength)
  if (same && completeLength !== null) return { ...contentRange, completeLength }
  if (same) return contentRange
  throw badRange('Content-Range and Range contradict each other')
}

/**
 * Returns the values of `Content-Length`, one for each line. A number above 2^53 - 1 loses digits
 * here, but no range is that long, so that the comparison with the range refuses it.
 */
function contentLengths(fields: FieldLines): readonly number[] {
  return (fields.get('content-length') ?? []).map((value) => {
    if (/^[0-9]+$/.test(value)) return Number(value)
    throw malformed('expected a number in Content-Length')
  })
}

/**
 * Compares the target with the `Content-Length` of the part. A target of unknown length gets its
 * length from it.
 */
function withLength(target: PartTarget, contentLength: number): PartTarget {
  if (target.kind === 'open') return closeTarget(target, contentLength)
  const length = dataLength(target)
  if (contentLength === length) return target
  throw new UploadError('ERR_LENGTH', {
    detail: `expected a Content-Length of ${length} for ${describeTarget(target)}`,
  })
}

/**
 * Returns the `Content-Type` as it was sent; null if absent. Several lines have to name the same
 * type.
 */
function parseContentType(fields: FieldLines): string | null {
  const [value, ...others] = fields.get('content-type') ?? []
  if (value === undefined) return null
  const mediaType = toMediaType(value)
  if (others.every((other) => isSameMediaType(toMediaType(other), mediaType))) return value
  throw malformed('expected one Content-Type, found different ones')
}

/**
 * Parses a type that will be sent as a response field, which must not have characters that Node
 * refuses to send.
 */
function toMediaType(value: string): MediaType {
  const mediaType = parseMediaType(value)
  if (mediaType && isServable(value)) return mediaType
  throw malformed('expected a media type in Content-Type, in ASCII and of at most 255 bytes')
}

function badRange(detail: string): UploadError {
  return new UploadError('ERR_RANGE', { detail })
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_SYNTAX', { detail })
}

/** Adds the number of the part to an error of `read`. */
function located<T>(index: number | null, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UploadError)) throw error
    const { code, status, headers, members } = error
    const detail = inPart(index, error.message)
    throw new UploadError(code, { detail, status, headers, members, cause: error })
  }
}
