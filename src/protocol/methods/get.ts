/**
 * Answers GET and HEAD (RFC 9110 §9.3.1, §9.3.2) with a finished resource, or with the stored bytes of an upload. Both
 * read one version without the lock, so that they neither wait for a writer nor delay one.
 */
import { UploadError } from '../../errors.ts'
import { mediaTypeOfName } from '../../fields/content-type.ts'
import { formatContentRange, formatUnsatisfiedRange } from '../../fields/content-range.ts'
import { selectRanges, type RangeSelection } from '../../fields/range.ts'
import type { HandlerRequest, HandlerResponse, RequestHeaders } from '../http.ts'
import { encodeCloseDelimiter, encodePartHeader } from '../../media/encode.ts'
import { ACCEPT_PATCH } from '../../media/parse.ts'
import { allowsRange, isNotModified } from '../preconditions.ts'
import type { ResourceInfo } from '../../storage/adapter.ts'
import type { MethodContext } from './context.ts'
import { uploadLength } from '../resource-state.ts'
import { redirectFor, redirectTo } from './redirect.ts'
import { reprDigestFields } from './repr-digest.ts'
import { expiryFields, validators, type Fields } from './respond.ts'
import { openContent, type Range, type VersionContent } from './version-content.ts'

/**
 * The 404 to GET and HEAD. Unlike the 404 to other methods it has no problem document, because clients of the draft's
 * author read the length or the content without checking the status, and 0 is the offset to begin at. It is `no-store`,
 * because a cache could otherwise answer the next HEAD of the upload with it.
 */
const NOT_FOUND: Head = {
  status: 404,
  headers: { 'Content-Length': '0', 'Cache-Control': 'no-store' },
}

/** What the fields of a representation depend on, besides the version. */
interface RepresentationContext extends Pick<MethodContext, 'settings' | 'isPrivate'> {
  readonly key: string
}

const WHOLE: RangeSelection = { kind: 'whole' }

/**
 * Largest number of versions that a GET tries to read. Each may be changed by a writer before its first byte is read.
 */
const MAX_VERSIONS = 10

/** The status and the fields of an answer. */
type Head = Omit<HandlerResponse, 'body'>

/** The answer to a GET whose content has not been read. Without `content` it has none. */
type VersionResponse = Head & { readonly content?: VersionContent }

/**
 * Answers a HEAD. `Content-Length` is the offset at which an upload resumes. Only `Want-Repr-Digest` makes it read the
 * content, to compute the digest.
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

/** Picks what the fields of a representation depend on. */
function representationOf(
  key: string,
  { settings, isPrivate }: MethodContext,
): RepresentationContext {
  return { settings, isPrivate, key }
}

/** Makes the answer to HEAD; `info` is null for a resource that does not exist. `Range` is ignored (RFC 9110 §14.2). */
function headOf(
  info: ResourceInfo | null,
  headers: RequestHeaders,
  context: RepresentationContext,
): HandlerResponse {
  if (info === null) return NOT_FOUND
  return isNotModified(headers, info) ? notModified(info, context) : whole(info, context)
}

/**
 * Answers a GET. After a reader was opened, a writer can change the bytes of the upload in place, or remove the version
 * from an object store. As long as no byte has been sent, the next version is opened instead.
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

/** Opens the current version, and reads its first bytes. The returned content closes the reader at its end. */
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

/** Makes the answer for one version: whole, one range, several ranges, 304 or 404. Throws for 412 and 416. */
function responseFrom(
  info: ResourceInfo,
  headers: RequestHeaders,
  context: RepresentationContext,
): VersionResponse {
  // Before the conditions and the range, because a 304 or a 416 would show that an upload exists.
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
 * Selects the ranges of a GET. `Range` is ignored if `If-Range` is false. An upload is served with one range at most,
 * because the parts of a `multipart/byteranges` would have to name a length that is not known yet.
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

/**
 * Makes the head of an answer with all stored bytes: 200, or 299 for an upload. HEAD sends the same fields, because a
 * client reads the offset and the declared length from them.
 */
function whole(info: ResourceInfo, context: RepresentationContext): Head {
  const { incompleteContentRange, incompleteStatus } = context.settings
  const fields = Object.assign(
    representationFields(info, context),
    uploadLength(info),
    incompleteContentRange ? incompleteRange(info) : {},
  )
  fields['Content-Type'] = contentType(info, context.key)
  fields['Content-Length'] = String(info.size)
  fields['Accept-Patch'] = ACCEPT_PATCH
  return { status: info.complete ? 200 : incompleteStatus, headers: fields }
}

/**
 * Makes the answer with one range (RFC 9110 §15.3.7). For an upload the complete length is `*`, because the length of
 * the stored bytes is not that of the finished resource.
 */
function oneRange(
  info: ResourceInfo,
  range: Range,
  context: RepresentationContext,
): VersionResponse {
  return {
    status: 206,
    headers: Object.assign(representationFields(info, context), {
      'Content-Type': contentType(info, context.key),
      'Content-Range': formatContentRange(range.start, range.end, info.complete ? info.size : null),
      'Content-Length': String(range.end - range.start),
    }),
    content: { ranges: [range] },
  }
}

/**
 * Makes the answer with several ranges, `multipart/byteranges` (RFC 9110 §14.6). A client may send its content back in
 * a PATCH, which then writes the same bytes.
 */
function severalRanges(
  info: ResourceInfo,
  ranges: readonly Range[],
  context: RepresentationContext,
): VersionResponse {
  const boundary = crypto.randomUUID()
  const header = ({ start, end }: Range): Uint8Array =>
    encodePartHeader(boundary, contentType(info, context.key), start, end, info.size)
  const trailer = encodeCloseDelimiter(boundary)
  const length = ranges.reduce(
    (sum, range) => sum + header(range).byteLength + range.end - range.start,
    trailer.byteLength,
  )
  return {
    status: 206,
    headers: Object.assign(representationFields(info, context), {
      'Content-Type': `multipart/byteranges; boundary=${boundary}`,
      'Content-Length': String(length),
    }),
    content: { ranges, framing: { header, trailer } },
  }
}

/** Makes the answer 304 (RFC 9110 §15.4.5). */
function notModified(info: ResourceInfo, context: RepresentationContext): Head {
  return { status: 304, headers: representationFields(info, context) }
}

/**
 * Makes the error 416 (RFC 9110 §15.5.17). Its content is a problem document, so the fields that describe the content
 * of the resource are left out.
 */
function unsatisfiable(info: ResourceInfo): UploadError {
  return new UploadError('ERR_UNSATISFIABLE', {
    detail: `no range lies within the ${info.size} bytes`,
    headers: {
      ...validators(info),
      'Accept-Ranges': 'bytes',
      'Content-Range': formatUnsatisfiedRange(info.size),
    },
  })
}

/**
 * Returns the fields that all answers about an existing version share, in an object to which the caller adds its
 * own. Nothing is spread here, because V8 takes about a microsecond for each property that follows a spread.
 */
function representationFields(
  info: ResourceInfo,
  { settings, isPrivate }: RepresentationContext,
): Record<string, string> {
  const { complete, reprDigest, contentDisposition } = info
  const { contentSecurityPolicy: policy, expireAfter } = settings
  const finished = isPrivate ? 'private, no-cache' : 'no-cache'
  const fields = validators(info)
  fields['Accept-Ranges'] = 'bytes'
  fields['X-Content-Type-Options'] = 'nosniff'
  if (policy !== '') fields['Content-Security-Policy'] = policy
  if (contentDisposition !== null) fields['Content-Disposition'] = contentDisposition
  // `no-cache`, because a finished resource can change at any time: a cache has to revalidate it each time.
  // `no-transform`, because a compressing middleware would drop the Content-Length that resuming needs, and
  // send coded bytes under the entity tag and the ranges of the plain ones.
  fields['Cache-Control'] = `${complete ? finished : 'no-store'}, no-transform`
  if (complete && reprDigest !== null) fields['Repr-Digest'] = reprDigest
  return complete ? fields : Object.assign(fields, expiryFields(info, expireAfter))
}

/**
 * Returns the `Content-Range` of a 299, from which a client that has lost its state learns the declared length. Without
 * bytes and without a declared length there is nothing to name.
 */
function incompleteRange({ complete, size, completeLength }: ResourceInfo): Fields {
  if (complete || (size === 0 && completeLength === null)) return {}
  const value =
    size === 0 && completeLength !== null
      ? formatUnsatisfiedRange(completeLength)
      : formatContentRange(0, size, completeLength)
  return { 'Content-Range': value }
}

/** Returns the stored media type. If the client has sent none, it is guessed from the extension of the key. */
function contentType({ contentType: stored }: ResourceInfo, key: string): string {
  return stored ?? mediaTypeOfName(key) ?? 'application/octet-stream'
}
