/** Asks for the state of the resource at a URL, and removes it. */
import { answerError, expectSuccess, isMissing, responseError, strongTag } from './answer.ts'
import { sha256Of } from './digest.ts'
import type { Problem } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import type { Fields } from './message.ts'

/** Properties of a resource as the server reports them. */
export interface ResourceStatus {
  /** Number of bytes that the server has stored. */
  readonly size: number
  /** Whether the resource is finished. */
  readonly complete: boolean
  /**
   * Number of bytes of the finished resource: `size` if it is complete, and otherwise the length
   * that a request has declared. Null if no request has declared it yet.
   */
  readonly length: number | null
  /**
   * Strong entity tag of this version, with its quotes. Null if the server sends none, if it does
   * not expose the field to a page of another origin (CORS), or if a proxy has weakened the tag.
   */
  readonly etag: string | null
  /** Media type; null if the server sends none. */
  readonly type: string | null
}

/** The state of a resource, with the answer that has reported it. */
export interface Found extends Omit<ResourceStatus, 'type'> {
  /**
   * SHA-256 of the representation, as `sha-256=:…:`; null if the answer has none. For an incomplete
   * resource it covers the stored bytes only if it was asked for with `WANT_DIGEST`.
   */
  readonly digest: string | null
  /** The `Content-Disposition`; null if the answer has none. */
  readonly disposition: string | null
  readonly response: Response
}

/** The field that asks for the SHA-256 of the stored bytes (RFC 9530 §4). */
export const WANT_DIGEST = { 'Want-Repr-Digest': 'sha-256=10' } as const

/**
 * Asks for the state of the resource with `HEAD`; null if it does not exist. `wanted` may be
 * `WANT_DIGEST`, for which the server may have to read the whole resource.
 *
 * @throws ClientError `ERR_RESPONSE` for a refusal, and for an answer that does not show the
 * length.
 */
export async function find(connection: Connection, wanted?: Fields): Promise<Found | null> {
  const response = await exchange(connection, { method: 'HEAD', headers: wanted })
  const { status, ok, headers } = response
  if (isMissing(response)) return null
  if (!ok) throw await responseError('HEAD', response)
  // Some revisions of the draft answer 200 instead of 299 while a resource is incomplete. The range
  // of the stored bytes in `Content-Range` then shows that it is.
  const range = /^bytes (?:0-(\d+)|\*)\/(.+)$/.exec(headers.get('Content-Range') ?? '')
  const [, last = -1, total] = range ?? []
  const stored = headers.get('Content-Length') ?? (range && Number(last) + 1)
  if (stored === null) throw answerError('HEAD', response, ', but no length')
  const size = Number(stored)
  const length = headers.get('Upload-Length') ?? total
  const complete = status === 200 && range === null && !(Number(length) > size)
  return describe(response, size, complete, length)
}

/**
 * Returns the state that the problem document of a refusal reports; null if it reports none. It can
 * be newer than the answer to a later `HEAD`, because a cache may answer `HEAD` but never a
 * `PATCH`.
 */
export function reportedState(response: Response, problem: Problem | null): Found | null {
  const { received, length, complete } = problem ?? {}
  // Without the entity tag of this state, `If-Match` could not bind the next request to it.
  if (typeof received !== 'number' || strongTag(response.headers) === null) return null
  return describe(response, received, complete === true, length)
}

/** Collects the state from what the caller has read and from the fields of the answer. */
function describe(response: Response, size: number, complete: boolean, length: unknown): Found {
  const { headers } = response
  return {
    size,
    complete,
    // Without a declared length the value is `*` or missing, which is NaN as a number. A length of
    // 0 can be treated in the same way, because a resource of 0 bytes is never incomplete.
    length: complete ? size : Number(length) || null,
    etag: strongTag(headers),
    digest: sha256Of(headers.get('Repr-Digest')),
    disposition: headers.get('Content-Disposition'),
    response,
  }
}

/**
 * Asks for the state of the resource, in the public form; null if it does not exist.
 *
 * @throws ClientError
 */
export async function getStatus(connection: Connection): Promise<ResourceStatus | null> {
  const found = await find(connection)
  if (found === null) return null
  const { size, complete, length, etag, response } = found
  return { size, complete, length, etag, type: response.headers.get('Content-Type') }
}

/**
 * Removes the resource, or with `ifMatch` only the version with that entity tag. Resolves with
 * false if the resource does not exist. A refusal with a status of `retriable` is a transient
 * error.
 *
 * @throws ClientError `ERR_RESPONSE` for a refusal, such as 412 if the resource is another version.
 */
export async function removeResource(
  connection: Connection,
  ifMatch?: string | null,
  retriable?: readonly number[],
): Promise<boolean> {
  const response = await exchange(connection, {
    method: 'DELETE',
    headers: { 'If-Match': ifMatch },
  })
  if (isMissing(response)) return false
  await expectSuccess('DELETE', response, retriable)
  // `fetch` follows a 303 with GET and does not report it, so that the success may be that of the
  // GET (RFC 9110 §15.4.4). Only a `HEAD` shows whether the resource is gone.
  if (response.redirected && (await find(connection)) !== null) {
    throw answerError('DELETE', response, ', but the resource still exists')
  }
  return true
}
