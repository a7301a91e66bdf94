/** From the request's `Content-Type` to the parser of its content. */
import { UploadError } from '../errors.ts'
import { parseMediaType } from '../fields/content-type.ts'
import { trimWhitespace } from '../fields/syntax.ts'
import { isBoundary, UnnamedBoundaryParser } from './boundary.ts'
import { MessageByterangesParser, type MessageOptions } from './message-byteranges.ts'
import { MultipartByterangesParser } from './multipart-byteranges.ts'
import type { PartParser } from './part.ts'

/** The media types of patches, for `Accept-Patch`: the seed's spelling first, the draft's last. */
export const PATCH_MEDIA_TYPES: readonly string[] = [
  'message/byteranges',
  'multipart/byteranges',
  'message/byterange',
]

/** The value of `Accept-Patch` (RFC 5789 §3.1). */
export const ACCEPT_PATCH = PATCH_MEDIA_TYPES.join(', ')

/** A patch format, ready to read one document. */
export interface PatchFormat {
  /** The document may have several parts, and is applied whole or not at all. */
  readonly multipart: boolean
  /** Parser of the document. */
  readonly parser: PartParser
}

/**
 * Creates the parser for a request, given its `Content-Type` field lines.
 *
 * @throws UploadError `ERR_MEDIA_TYPE` for a missing or other type, `ERR_FIELD` for two different
 * values and for a malformed boundary.
 */
export function createPartParser(
  contentType: readonly string[],
  options: MessageOptions,
): PatchFormat {
  const values = new Set(contentType.map(trimWhitespace))
  if (values.size > 1) throw malformed('there are two different Content-Type fields')
  const [value = ''] = values
  const type = trimWhitespace(value.replace(/;.*/s, '')).toLowerCase()
  if (!PATCH_MEDIA_TYPES.includes(type)) throw unsupported()
  return type === 'multipart/byteranges'
    ? { multipart: true, parser: createMultipartParser(value, options) }
    : { multipart: false, parser: new MessageByterangesParser(options) }
}

function createMultipartParser(value: string, options: MessageOptions): PartParser {
  const mediaType = parseMediaType(value)
  if (!mediaType) throw malformed('the parameters of the Content-Type are malformed')
  const boundary = mediaType.parameters.get('boundary')
  if (boundary === undefined) return new UnnamedBoundaryParser(options)
  if (isBoundary(boundary)) return new MultipartByterangesParser(boundary, options)
  throw malformed('the boundary is not 1 to 70 of the characters that RFC 2046 allows')
}

function unsupported(): UploadError {
  return new UploadError('ERR_MEDIA_TYPE', {
    detail: `the Content-Type is none of ${ACCEPT_PATCH}`,
    headers: { 'Accept-Patch': ACCEPT_PATCH },
  })
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_FIELD', { detail })
}
