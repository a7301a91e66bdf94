/**
 * Decides whether an answer continues a download, begins it anew, or is not content of the file.
 */
import { isMissing, responseError, strongTag } from '../client/answer.ts'
import { ClientError } from '../client/error.ts'

import type { Destination } from './destination.ts'
import { refusal } from './fetch-file.ts'

/** What an answer contains. */
export interface Content {
  /** Length of the whole file in bytes; null if the server does not send it. */
  readonly size: number | null
  /** Position behind the last byte of this answer; null if it is unknown. */
  readonly end: number | null
}

/**
 * Prepares the destination for the content of the answer: for the rest of its version, or for
 * another version from the first byte on.
 *
 * @throws ClientError if the answer is not content of the file. It is transient if a request
 * without `Range` may succeed.
 */
export async function accept(response: Response, destination: Destination): Promise<Content> {
  const { status, headers } = response
  const [, start, last, total] =
    /^bytes (?:([0-9]+)-([0-9]+)|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  // While an upload is incomplete, some revisions of the draft answer 200 with the stored range in
  // `Content-Range`. The server leaves this field out for proxies that refuse it in a 200. Then
  // only `Upload-Length`, the length of the finished file, shows that bytes are missing.
  const isShort =
    Number(headers.get('upload-length')) > Number(headers.get('content-length') ?? NaN)
  if (status === 299 || total === '*' || (status === 200 && (total !== undefined || isShort))) {
    throw refusal(
      'the upload of this file to the server is not complete yet; try again later',
      response,
    )
  }
  if (status === 200) return begin(response, destination)
  if (isMissing(response)) throw refusal('there is nothing at this URL', response)
  if (status !== 206 && status !== 416) throw await responseError('GET', response)
  const { version, position } = destination
  const etag = strongTag(headers)
  // A 206 repeats the entity tag (RFC 9110 §15.3.7). Without it the range may be of another
  // version.
  const isTagged = etag !== null && etag === version?.etag && !codingOf(headers)
  const size = version?.size ?? Number(total)
  // Equal strong entity tags mean equal bytes, and therefore equal lengths.
  const isSame = isTagged && size === Number(total)
  if (status === 206 && isSame && Number(start) === position) {
    return { size, end: Number(last) + 1 }
  }
  // The answer does not continue the download. A retry starts with the first byte.
  await destination.begin({ etag: null, size: null })
  const message =
    version === null
      ? 'the server sent a range that was not asked for'
      : 'the file on the server has changed'
  throw new ClientError('ERR_RESPONSE', message, { response, transient: version !== null })
}

/** Returns the content coding of an answer, such as `gzip`; an empty string if there is none. */
export function codingOf(headers: Headers): string {
  return (headers.get('content-encoding') ?? '').toLowerCase().replace(/^identity$/, '')
}

/** Starts with the first byte of a version. Throws for a content coding that can't be decoded. */
async function begin(response: Response, destination: Destination): Promise<Content> {
  const { headers } = response
  const coding = codingOf(headers)
  if (coding !== '') {
    // The server has ignored `Accept-Encoding: identity`. `fetch` decodes these codings. The
    // `Content-Length` counts the coded bytes, so that the length of the file is unknown.
    if (!/^(?:(?:x-)?gzip|deflate|br)$/.test(coding)) {
      throw refusal(
        `the server sends the file compressed as "${coding}", which this command does not support`,
        response,
      )
    }
    await destination.begin({ etag: null, size: null })
    return { size: null, end: null }
  }
  const length = headers.get('content-length')
  const size = length === null ? null : Number(length)
  await destination.begin({ etag: strongTag(headers), size })
  return { size, end: size }
}
