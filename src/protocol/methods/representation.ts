/**
 * Makes the status and the fields of the answers that GET and HEAD give about one version: whole,
 * one range, several ranges, 304 and 416.
 */
import { UploadError } from '../../errors.ts'
import { formatContentRange, formatUnsatisfiedRange } from '../../fields/content-range.ts'
import { mediaTypeOfName } from '../../fields/content-type.ts'
import { encodeCloseDelimiter, encodePartHeader } from '../../media/encode.ts'
import { ACCEPT_PATCH } from '../../media/parse.ts'
import type { ResourceInfo } from '../../storage/adapter.ts'
import type { HandlerResponse } from '../http.ts'
import { uploadLength } from '../resource-state.ts'
import type { MethodContext } from './context.ts'
import { expiryFields, validators, type Fields } from './respond.ts'
import type { Range, VersionContent } from './version-content.ts'

/** What the fields of a representation depend on, besides the version. */
export interface RepresentationContext extends Pick<MethodContext, 'settings' | 'isPrivate'> {
  readonly key: string
}

/** The status and the fields of an answer. */
export type Head = Omit<HandlerResponse, 'body'>

/** The answer to a GET whose content has not been read. Without `content` it has none. */
export type VersionResponse = Head & { readonly content?: VersionContent }

/** Picks what the fields of a representation depend on. */
export function representationOf(
  key: string,
  { settings, isPrivate }: MethodContext,
): RepresentationContext {
  return { settings, isPrivate, key }
}

/**
 * Makes the head of an answer with all stored bytes: 200, or 299 for an upload. HEAD sends the same
 * fields, because a client reads the offset and the declared length from them.
 */
export function whole(info: ResourceInfo, context: RepresentationContext): Head {
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
 * Makes the answer with one range (RFC 9110 §15.3.7). For an upload the complete length is `*`,
 * because the length of the stored bytes is not that of the finished resource.
 */
export function oneRange(
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
 * Makes the answer with several ranges, `multipart/byteranges` (RFC 9110 §14.6). A client may send
 * its content back in a PATCH, which then writes the same bytes.
 */
export function severalRanges(
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
export function notModified(info: ResourceInfo, context: RepresentationContext): Head {
  return { status: 304, headers: representationFields(info, context) }
}

/**
 * Makes the error 416 (RFC 9110 §15.5.17). Its content is a problem document, so the fields that
 * describe the content of the resource are left out.
 */
export function unsatisfiable(info: ResourceInfo): UploadError {
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
 * Returns the fields that all answers about an existing version share, in an object to which the
 * caller adds its own. Nothing is spread here, because V8 takes about a microsecond for each
 * property that follows a spread.
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
  // `no-cache`, because a finished resource can change at any time: a cache has to revalidate it
  // each time. `no-transform`, because a compressing middleware would drop the Content-Length that
  // resuming needs, and send coded bytes under the entity tag and the ranges of the plain ones.
  fields['Cache-Control'] = `${complete ? finished : 'no-store'}, no-transform`
  if (complete && reprDigest !== null) fields['Repr-Digest'] = reprDigest
  return complete ? fields : Object.assign(fields, expiryFields(info, expireAfter))
}

/**
 * Returns the `Content-Range` of a 299, from which a client that has lost its state learns the
 * declared length. Without bytes and without a declared length there is nothing to name.
 */
function incompleteRange({ complete, size, completeLength }: ResourceInfo): Fields {
  if (complete || (size === 0 && completeLength === null)) return {}
  const value =
    size === 0 && completeLength !== null
      ? formatUnsatisfiedRange(completeLength)
      : formatContentRange(0, size, completeLength)
  return { 'Content-Range': value }
}

/**
 * Returns the stored media type. If the client has sent none, it is guessed from the extension of
 * the key.
 */
export function contentType({ contentType: stored }: ResourceInfo, key: string): string {
  return stored ?? mediaTypeOfName(key) ?? 'application/octet-stream'
}
