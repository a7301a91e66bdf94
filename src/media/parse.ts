/**
 * Chooses the parser of a patch by the `Content-Type` of the request, and has the table of the
 * patch formats.
 */
import { UploadError } from '../errors.ts'
import { parseMediaType } from '../fields/content-type.ts'
import { trimWhitespace } from '../fields/syntax.ts'
import { ApplicationByterangesParser } from './application-byteranges.ts'
import { isBoundary, UnnamedBoundaryParser } from './boundary.ts'
import { MessageByterangesParser, type MessageOptions } from './message-byteranges.ts'
import { MultipartByterangesParser } from './multipart-byteranges.ts'
import type { PartParser } from './part.ts'

/** Describes how the documents of a media type are parsed and applied. */
interface Format {
  /** Creates the parser of one document, given its `Content-Type`. */
  readonly createParser: (contentType: string, options: MessageOptions) => PartParser
  /**
   * Whether a document is applied completely or not at all. If not, an interrupted request keeps
   * its bytes.
   */
  readonly isAtomic: boolean
  /**
   * Whether a part may begin beyond the end of the resource, because a later part may fill the gap.
   */
  readonly fillsGaps: boolean
}

const MESSAGE: Format = {
  createParser: (_contentType, options) => new MessageByterangesParser(options),
  isAtomic: false,
  fillsGaps: false,
}

/**
 * The formats by media type. `Accept-Patch` lists them in this order: first those of the first
 * draft.
 */
const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['message/byteranges', MESSAGE],
  [
    'multipart/byteranges',
    { createParser: createMultipartParser, isAtomic: true, fillsGaps: true },
  ],
  ['message/byterange', MESSAGE],
  [
    'application/byteranges',
    {
      createParser: (_contentType, options) => new ApplicationByterangesParser(options),
      isAtomic: true,
      fillsGaps: true,
    },
  ],
])

/** The media types of patches, in lower case. */
export const PATCH_MEDIA_TYPES: readonly string[] = [...FORMATS.keys()]

/** The value of `Accept-Patch` (RFC 5789 §3.1). */
export const ACCEPT_PATCH = PATCH_MEDIA_TYPES.join(', ')

/** A patch format with the parser for one document. */
export interface PatchFormat extends Pick<Format, 'isAtomic' | 'fillsGaps'> {
  /** Parses one document, and can't be used for another. */
  readonly parser: PartParser
}

/**
 * Creates the parser for a request.
 *
 * @param contentType The values of the `Content-Type` lines of the request. Several equal ones
 * count as one.
 * @throws UploadError `ERR_MEDIA_TYPE` for a missing or an unsupported type, `ERR_FIELD` for two
 * different values and for a malformed boundary.
 */
export function createPartParser(
  contentType: readonly string[],
  options: MessageOptions,
): PatchFormat {
  const values = new Set(contentType.map(trimWhitespace))
  if (values.size > 1) throw malformed('expected one Content-Type, found different ones')
  const [value = ''] = values
  const type = trimWhitespace(value.replace(/;.*/s, '')).toLowerCase()
  const format = FORMATS.get(type)
  if (format === undefined) throw unsupported()
  const { createParser, isAtomic, fillsGaps } = format
  return { isAtomic, fillsGaps, parser: createParser(value, options) }
}

/**
 * Creates the parser of a multipart. Without the parameter `boundary` the parser reads it from the
 * content.
 */
function createMultipartParser(value: string, options: MessageOptions): PartParser {
  const mediaType = parseMediaType(value)
  if (!mediaType) throw malformed('expected parameters of the form name=value in Content-Type')
  const boundary = mediaType.parameters.get('boundary')
  if (boundary === undefined) return new UnnamedBoundaryParser(options)
  if (isBoundary(boundary)) return new MultipartByterangesParser(boundary, options)
  throw malformed('expected a boundary of 1 to 70 characters that RFC 2046 allows')
}

function unsupported(): UploadError {
  return new UploadError('ERR_MEDIA_TYPE', {
    detail: `expected a Content-Type out of ${ACCEPT_PATCH}`,
    headers: { 'Accept-Patch': ACCEPT_PATCH },
  })
}

function malformed(detail: string): UploadError {
  return new UploadError('ERR_FIELD', { detail })
}
