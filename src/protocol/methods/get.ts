/**
 * Answers GET and HEAD (RFC 9110 §9.3.1, §9.3.2) with a finished resource, or with the stored bytes
 * of an upload. Both read one version without the lock, so that they neither wait for a writer nor
 * delay one.
 */
import { UploadError } from '../../errors.ts'
import { selectRanges, type RangeSelection } from '../../fields/range.ts'
import type { HandlerRequest, HandlerResponse, RequestHeaders } from '../http.ts'
import { allowsRange, isNotModified } from '../preconditions.ts'
import type { ResourceInfo } from '../../storage/adapter.ts'
import type { MethodContext } from './context.ts'
import {
  contentType,
  notModified,
  oneRange,
  representationOf,
  severalRanges,
  unsatisfiable,
  whole,
  type Head,
  type RepresentationContext,
  type VersionResponse,
} from './representation.ts'
import { redirectFor, redirectTo } from './redirect.ts'
import { reprDigestFields } from './repr-digest.ts'
import { openContent } from './version-content.ts'

/**
 * The 404 to GET and HEAD. Unlike the 404 to other methods it has no problem document, because
 * clients of the draft's author read the length or the content without checking the status, and 0
 * is the offset to begin at. It is `no-store`, because a cache could otherwise answer the next HEAD
 * of the upload with it.
 */
const NOT_FOUND: Head = {
  status: 404,
  headers: { 'Content-Length': '0', 'Cache-Control': 'no-store' },
}

const WHOLE: RangeSelection = { kind: 'whole' }

/**
 * Largest number of versions that a GET tries to read. Each may be changed by a writer before its
 * first byte is read.
 */
const MAX_VERSIONS = 10

/**
 * Answers a HEAD. `Content-Length` is the offset at which an upload resumes. Only
 * `Want-Repr-Digest` makes it read the content, to compute the digest.
 */
export async function head(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { key, headers } = request
  const { storage, hashing } = context
  if (headers.get('want-repr-digest') === null) {
    return headOf(await storage.head(key), headers, representationOf(key, context))
  }
  // The digest has to be that of the version whose entity tag is sent. Between `head` and a reader
  // that is opened later, a writer could commit another version.
  const reader = await storage.openReader(key)
  try {
    const response = headOf(reader?.info ?? null, headers, representationOf(key, context))
    if (reader === null || response.status === 304) return response
    const digest = await reprDigestFields(request, reader, hashing)
    return { ...response, headers: { ...response.headers, ...digest } }
  } finally {
    await reader?.close()
  }
}

/**
 * Makes the answer to HEAD; `info` is null for a resource that does not exist. `Range` is ignored
 * (RFC 9110 §14.2).
 */
function headOf(
  info: ResourceInfo | null,
  headers: RequestHeaders,
  context: RepresentationContext,
): HandlerResponse {
  if (info === null) return NOT_FOUND
  return isNotModified(headers, info) ? notModified(info, context) : whole(info, context)
}

/**
 * Answers a GET. After a reader was opened, a writer can change the bytes of the upload in place,
 * or remove the version from an object store. As long as no byte has been sent, the next version is
 * opened instead.
 *
 * @throws UploadError `ERR_CONFLICT` if that happened `MAX_VERSIONS` times.
 */
export async function get(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  for (let versions = 1; ; versions += 1) {
    try {
      return await getVersion(request, context)
    } catch (error) {
      const isLost = error instanceof UploadError && error.code === 'ERR_CONFLICT'
      if (!isLost || versions === MAX_VERSIONS) throw error
    }
  }
}

/**
 * Opens the current version, and reads its first bytes. The returned content closes the reader at
 * its end.
 */
async function getVersion(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const reader = await context.storage.openReader(request.key, { signal: request.closeSignal })
  if (reader === null) return NOT_FOUND
  let body: HandlerResponse['body']
  try {
    const representation = representationOf(request.key, context)
    const { content, ...answer } = responseFrom(reader.info, request.headers, representation)
    if (content === undefined) return answer
    const location = await redirectFor(
      request,
      reader,
      content,
      contentType(reader.info, request.key),
    )
    if (location !== null) return redirectTo(location)
    const digest = await reprDigestFields(request, reader, context.hashing)
    body = await openContent(reader, content)
    return { body, ...answer, headers: { ...answer.headers, ...digest } }
  } finally {
    // Otherwise the content closes the reader, when it has been sent or the client has left.
    if (body === undefined) await reader.close()
  }
}

/**
 * Makes the answer for one version: whole, one range, several ranges, 304 or 404. Throws for 412
 * and 416.
 */
function responseFrom(
  info: ResourceInfo,
  headers: RequestHeaders,
  context: RepresentationContext,
): VersionResponse {
  // Check this before the conditions and the range, because a 304 or a 416 would show that an
  // upload exists.
  if (!info.complete && !context.settings.exposeIncomplete) return NOT_FOUND
  if (isNotModified(headers, info)) return notModified(info, context)

  const selection = selectedRanges(headers, info, context.settings.maxRanges)
  if (selection.kind === 'unsatisfiable') throw unsatisfiable(info)
  if (selection.kind === 'whole') {
    return { content: { ranges: [{ start: 0, end: info.size }] }, ...whole(info, context) }
  }
  const [range, ...more] = selection.ranges
  return range !== undefined && more.length === 0
    ? oneRange(info, range, context)
    : severalRanges(info, selection.ranges, context)
}

/**
 * Selects the ranges of a GET. `Range` is ignored if `If-Range` is false. An upload is served with
 * one range at most, because the parts of a `multipart/byteranges` would have to name a length that
 * is not known yet.
 */
function selectedRanges(
  headers: RequestHeaders,
  info: ResourceInfo,
  maxRanges: number,
): RangeSelection {
  const range = headers.get('range')
  if (range === null || !allowsRange(headers, info, new Date())) return WHOLE
  return selectRanges(range, info.size, info.complete ? maxRanges : 1)
}
