/** The state of the resource at a URL: asking for it, and removing it. */
import { answerError, expectSuccess, isMissing, responseError, strongTag } from './answer.ts'
import { sha256Of } from './digest.ts'
import type { Problem } from './error.ts'
import { exchange, type Connection } from './exchange.ts'

/** Properties of a resource as a server reports them. */
export interface ResourceStatus {
  /** Number of bytes that are stored. */
  readonly size: number
  /** Whether the resource is finished. */
  readonly complete: boolean
  /** Number of bytes that the finished resource will have; null if it was not declared yet. */
  readonly length: number | null
  /**
   * Strong entity tag of this version; null if the server gives none or hides it from other origins, or
   * if a proxy has weakened it.
   */
  readonly etag: string | null
  /** Media type; null if the server gives none. */
  readonly type: string | null
}

/** The state of a resource, with the answer that described it. */
export interface Found extends Omit<ResourceStatus, 'type'> {
  /** SHA-256 of the stored bytes, as `sha-256=:…:`; null if the answer has none. */
  readonly digest: string | null
  /** The `Content-Disposition`; null if the answer has none. */
  readonly disposition: string | null
  readonly response: Response
}

/** Asks for the SHA-256 of the stored bytes (RFC 9530 §4). */
export const WANT_DIGEST = { 'Want-Repr-Digest': 'sha-256=10' } as const

/**
 * Asks for the state of the resource; null if it does not exist. With the fields of `WANT_DIGEST` the
 * server may compute a digest.
 *
 * @throws ClientError
 */
export async function find(
  connection: Connection,
  wanted: Readonly<Record<string, string>> = {},
): Promise<Found | null> {
  const response = await exchange(connection, { method: 'HEAD', headers: wanted })
  const { status, ok, headers } = response
  if (isMissing(response)) return null
  if (!ok) throw await responseError('HEAD', response)
  // Some revisions of the draft answer 200 while a resource is incomplete, with its range.
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
 * The state that a refusal reports; null if it reports none. It is newer than an answer to `HEAD` from
 * a cache, because a refusal comes from the server itself.
 */
export function reportedState(response: Response, problem: Problem | null): Found | null {
  const { received, length, complete } = problem ?? {}
  // Without the entity tag of this state the next request could not be bound to it.
  if (typeof received !== 'number' || strongTag(response.headers) === null) return null
  return describe(response, received, complete === true, length)
}

function describe(response: Response, size: number, complete: boolean, length: unknown): Found {
  const { headers } = response
  return {
    size,
    complete,
    // The length is `*` or missing while it was not declared. A resource of 0 bytes is never incomplete.
    length: complete ? size : Number(length) || null,
    etag: strongTag(headers),
    digest: sha256Of(headers.get('Repr-Digest')),
    disposition: headers.get('Content-Disposition'),
    response,
  }
}

/**
 * Asks for the state of the resource, for a caller of the client.
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
 * Removes the resource, or only the version with the tag `ifMatch`. False if it does not exist.
 *
 * @throws ClientError
 */
export async function removeResource(
  connection: Connection,
  ifMatch?: string,
  retriable: readonly number[] = [],
): Promise<boolean> {
  const response = await exchange(connection, {
    method: 'DELETE',
    headers: { 'If-Match': ifMatch },
  })
  if (isMissing(response)) return false
  await expectSuccess('DELETE', response, retriable)
  // The answer may be the one to a GET that followed a 303.
  if (response.redirected && (await find(connection)) !== null) {
    throw answerError('DELETE', response, ' after a redirection, but the resource still exists')
  }
  return true
}
