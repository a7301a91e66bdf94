/**
 * Reads the fields of a PUT that describe its content: the media type, and the range of a partial
 * PUT (RFC 9110 §14.5), which `curl -C` sends to resume an upload.
 */
import { UploadError } from '../../errors.ts'
import { parseContentRange } from '../../fields/content-range.ts'
import { isServable, parseMediaType } from '../../fields/content-type.ts'
import { ACCEPT_PATCH, PATCH_MEDIA_TYPES } from '../../media/parse.ts'
import type { PartTarget } from '../../media/part.ts'
import type { Limits } from '../../options.ts'
import type { HandlerRequest, RequestHeaders } from '../http.ts'
import { patchLimit } from './content.ts'

/** The media type and the range of a PUT's content. */
export interface PutFields {
  /** The `Content-Type`, which is that of the resource; null if absent. */
  readonly contentType: string | null
  /** The range that the content replaces; null if it is the whole resource. */
  readonly range: PartTarget | null
  /** Whether the client sent a `Content-Range`, and will therefore resume an interrupted upload. */
  readonly isResumable: boolean
}

/**
 * Reads and validates the fields.
 *
 * @throws UploadError `ERR_FIELD` for a malformed type, `ERR_MEDIA_TYPE` for that of a patch,
 * `ERR_RANGE` or `ERR_RANGE_UNIT` for a range.
 */
export function readPutFields({ headers, contentLength }: HandlerRequest): PutFields {
  const given = readRange(headers)
  const isWhole = given === null || isWholeRange(given, contentLength)
  return {
    contentType: readType(headers),
    range: isWhole ? null : given,
    isResumable: given !== null,
  }
}

/**
 * Returns the largest content, in bytes. The parser also checks that the range of a partial PUT
 * fits in `maxSize`.
 */
export function contentLimit(range: PartTarget | null, limits: Limits): number {
  return range === null ? limits.maxSize : patchLimit(limits)
}

/** Reads `Content-Range`. RFC 9110 §14.5 allows one range. */
function readRange(headers: RequestHeaders): PartTarget | null {
  const [value, ...others] = headers.all('content-range')
  if (value === undefined) return null
  if (others.length > 0) {
    throw new UploadError('ERR_RANGE', { detail: 'expected one Content-Range, found several' })
  }
  return parseContentRange(value)
}

/**
 * Whether the range is the whole resource, as `bytes 0-9/10` with ten bytes of content. The request
 * then replaces the resource like a PUT without `Content-Range`. Chunked content is applied as a
 * patch, because it may end early.
 */
function isWholeRange(range: PartTarget, contentLength: number | null): boolean {
  if (range.kind !== 'range' || range.start !== 0 || range.end === 0) return false
  return range.end === range.completeLength && range.end === contentLength
}

/**
 * Reads `Content-Type`. A patch format is refused, because the client has almost certainly confused
 * PUT and PATCH.
 */
function readType(headers: RequestHeaders): string | null {
  const [value, ...more] = headers.all('content-type')
  if (value === undefined) return null
  if (more.some((other) => other !== value)) {
    throw new UploadError('ERR_FIELD', {
      detail: 'expected one Content-Type, found different ones',
    })
  }
  const mediaType = parseMediaType(value)
  if (mediaType === null || !isServable(value)) {
    throw new UploadError('ERR_FIELD', {
      detail: 'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    })
  }
  if (PATCH_MEDIA_TYPES.includes(mediaType.type)) {
    throw new UploadError('ERR_MEDIA_TYPE', {
      detail: `${mediaType.type} is a patch format: send it with PATCH`,
      headers: { 'Accept-Patch': ACCEPT_PATCH },
    })
  }
  return value.trim()
}
