/** GET and HEAD (RFC 9110 §9.3.1, §9.3.2): the resource, or as much of it as has arrived. */
import { UploadError } from '../../errors.ts'
import { mediaTypeOfName } from '../../fields/content-type.ts'
import { formatContentRange, formatUnsatisfiedRange } from '../../fields/content-range.ts'
import { selectRanges, type RangeSelection } from '../../fields/range.ts'
import type { HandlerRequest, HandlerResponse, RequestHeaders } from '../http.ts'
import { encodeCloseDelimiter, encodePartHeader } from '../../media/encode.ts'
import { ACCEPT_PATCH } from '../../media/parse.ts'
import { allowsRange, isNotModified } from '../preconditions.ts'
import type { Reader, ResourceInfo } from '../../storage/adapter.ts'
import type { MethodContext } from './context.ts'
import { uploadLength } from '../resource-state.ts'
import { reprDigestFields } from './repr-digest.ts'
import { expiryFields, validators, type Fields } from './respond.ts'

interface Range {
  readonly start: number
  readonly end: number
}

/**
 * No problem document, unlike the 404 to other methods, because clients of the draft's author read the
 * length or the content without checking the status. Not stored, because a cache would answer the next
 * HEAD of an upload with it.
 */
const NOT_FOUND: HandlerResponse = {
  status: 404,
  headers: { 'Content-Length': '0', 'Cache-Control': 'no-store' },
}
/** What the fields of a representation depend on, besides its version. */
interface RepresentationContext extends Pick<MethodContext, 'settings' | 'isPrivate'> {
  readonly key: string
}

const WHOLE: RangeSelection = { kind: 'whole' }

/** Answers a HEAD, without a lock: `Content-Length` is where an upload resumes. */
export async function head(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const { key, headers } = request
  const { storage, hashing } = context
  if (headers.get('want-repr-digest') === null) {
    return headOf(await storage.head(key), headers, representationOf(key, context))
  }
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

function representationOf(
  key: string,
  { settings, isPrivate }: MethodContext,
): RepresentationContext {
  return { settings, isPrivate, key }
}

function headOf(
  info: ResourceInfo | null,
  headers: RequestHeaders,
  context: RepresentationContext,
): HandlerResponse {
  if (info === null) return NOT_FOUND
  return isNotModified(headers, info) ? notModified(info, context) : whole(info, context)
}

/** Answers a GET. */
export async function get(
  request: HandlerRequest,
  context: MethodContext,
): Promise<HandlerResponse> {
  const reader = await context.storage.openReader(request.key)
  if (reader === null) return NOT_FOUND
  let response: HandlerResponse | null = null
  try {
    response = responseFrom(reader, request.headers, representationOf(request.key, context))
    if (response.body === undefined) return response
    const digest = await reprDigestFields(request, reader, context.hashing)
    return { ...response, headers: { ...response.headers, ...digest } }
  } finally {
    if (response?.body === undefined) await reader.close()
  }
}

/** The answer from one version; its body, if it has one, closes the reader. */
function responseFrom(
  reader: Reader,
  headers: RequestHeaders,
  context: RepresentationContext,
): HandlerResponse {
  const { info } = reader
  if (!info.complete && !context.settings.exposeIncomplete) return NOT_FOUND
  if (isNotModified(headers, info)) return notModified(info, context)

  const selection = selectedRanges(headers, info, context.settings.maxRanges)
  if (selection.kind === 'unsatisfiable') throw unsatisfiable(info)
  if (selection.kind === 'whole') {
    const body = readAndClose(reader, [{ start: 0, end: info.size }])
    return { ...whole(info, context), body }
  }
  const [range, ...more] = selection.ranges
  if (range === undefined || more.length > 0) {
    return severalRanges(reader, selection.ranges, context)
  }
  return oneRange(reader, range, context)
}

/** `Range` counts only on GET, only if `If-Range` holds, and one at a time while incomplete. */
function selectedRanges(
  headers: RequestHeaders,
  info: ResourceInfo,
  maxRanges: number,
): RangeSelection {
  const range = headers.get('range')
  if (range === null || !allowsRange(headers, info, new Date())) return WHOLE
  return selectRanges(range, info.size, info.complete ? maxRanges : 1)
}

function whole(info: ResourceInfo, context: RepresentationContext): HandlerResponse {
  return {
    status: info.complete ? 200 : context.settings.incompleteStatus,
    headers: {
      ...representationFields(info, context),
      ...uploadLength(info),
      ...(context.settings.incompleteContentRange ? incompleteRange(info) : {}),
      'Content-Type': contentType(info, context.key),
      'Content-Length': String(info.size),
      'Accept-Patch': ACCEPT_PATCH,
    },
  }
}

function oneRange(reader: Reader, range: Range, context: RepresentationContext): HandlerResponse {
  const { info } = reader
  return {
    status: 206,
    headers: {
      ...representationFields(info, context),
      'Content-Type': contentType(info, context.key),
      'Content-Range': formatContentRange(range.start, range.end, info.complete ? info.size : null),
      'Content-Length': String(range.end - range.start),
    },
    body: readAndClose(reader, [range]),
  }
}

/** A `multipart/byteranges` that writes the same bytes when it is sent back as a PATCH. */
function severalRanges(
  reader: Reader,
  ranges: readonly Range[],
  context: RepresentationContext,
): HandlerResponse {
  const { info } = reader
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
    headers: {
      ...representationFields(info, context),
      'Content-Type': `multipart/byteranges; boundary=${boundary}`,
      'Content-Length': String(length),
    },
    body: readAndClose(reader, ranges, { header, trailer }),
  }
}

interface Framing {
  readonly header: (range: Range) => Uint8Array
  readonly trailer: Uint8Array
}

async function* readAndClose(
  reader: Reader,
  ranges: readonly Range[],
  framing?: Framing,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (const range of ranges) {
      if (framing !== undefined) yield framing.header(range)
      yield* reader.read(range.start, range.end)
    }
    if (framing !== undefined) yield framing.trailer
  } finally {
    await reader.close()
  }
}

function notModified(info: ResourceInfo, context: RepresentationContext): HandlerResponse {
  return { status: 304, headers: representationFields(info, context) }
}

/** The content is a problem document: fields that describe the resource's own content are not for it. */
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

/** What every answer about an existing version has in common. */
function representationFields(
  info: ResourceInfo,
  { settings, isPrivate }: RepresentationContext,
): Fields {
  const { complete, reprDigest, contentDisposition } = info
  const finished = isPrivate ? 'private, no-cache' : 'no-cache'
  const { contentSecurityPolicy: policy, expireAfter } = settings
  return {
    ...validators(info),
    'Accept-Ranges': 'bytes',
    'X-Content-Type-Options': 'nosniff',
    ...(policy === '' ? {} : { 'Content-Security-Policy': policy }),
    ...(contentDisposition === null ? {} : { 'Content-Disposition': contentDisposition }),
    // A finished resource can change at any time, so a cache asks each time, for a 304 where it has not.
    // A compressing middleware would drop the Content-Length that resuming needs, and give coded
    // bytes the entity tag and the ranges of the plain ones.
    'Cache-Control': `${complete ? finished : 'no-store'}, no-transform`,
    ...(complete && reprDigest !== null ? { 'Repr-Digest': reprDigest } : {}),
    ...(complete ? {} : expiryFields(info, expireAfter)),
  }
}

/** The one place where a client that lost all state learns the declared length. */
function incompleteRange({ complete, size, completeLength }: ResourceInfo): Fields {
  if (complete || (size === 0 && completeLength === null)) return {}
  const value =
    size === 0 && completeLength !== null
      ? formatUnsatisfiedRange(completeLength)
      : formatContentRange(0, size, completeLength)
  return { 'Content-Range': value }
}

/** The stored type, or for a resource that names none, the one that its name suggests. */
function contentType({ contentType: stored }: ResourceInfo, key: string): string {
  return stored ?? mediaTypeOfName(key) ?? 'application/octet-stream'
}
