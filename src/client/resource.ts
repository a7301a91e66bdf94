/** What is at a URL: asking for it, and removing it. */
import { sha256Of } from './digest.ts'
import { ClientError, responseError, type Problem } from './error.ts'
import { exchange, type Connection } from './exchange.ts'

/** What a server tells of a resource. */
export interface ResourceStatus {
  /** Bytes that are there. */
  readonly size: number
  /** Whether they are all. */
  readonly complete: boolean
  /** Bytes that the finished resource will have; null if nobody has said. */
  readonly length: number | null
  /**
   * Strong entity tag of this version; null if the server gives none, or hides it from other
   * origins, or if a proxy has weakened it.
   */
  readonly etag: string | null
  /** Media type; null if the server gives none. */
  readonly type: string | null
}

/** What is there, with the answer that described it. */
export interface Found extends ResourceStatus {
  /** SHA-256 of the stored bytes, as `sha-256=:…:`; null if the answer has none. */
  readonly digest: string | null
  /** The `Content-Disposition`; null if the answer has none. */
  readonly disposition: string | null
  readonly response: Response
}

/** Asks for the SHA-256 of what is stored (RFC 9530 §4). */
export const WANT_DIGEST = { 'Want-Repr-Digest': 'sha-256=10' } as const

/**
 * Asks what is there; null if nothing is. With `wanted` the server may compute a digest for it.
 *
 * @throws ClientError
 */
export async function find(
  connection: Connection,
  wanted: Readonly<Record<string, string>> = {},
): Promise<Found | null> {
  const response = await exchange(connection, { method: 'HEAD', headers: wanted })
  const { status, ok, headers } = response
  if (MISSING.includes(status)) return null
  if (!ok) throw await responseError('HEAD', response)
  // Of the revisions of the draft some answer 200 while a resource is incomplete: its range tells.
  const range = /^bytes (?:0-(\d+)|\*)\/(.+)$/.exec(headers.get('Content-Range') ?? '')
  const [, last = -1, total] = range ?? []
  const told = headers.get('Content-Length') ?? (range && Number(last) + 1)
  if (told === null) {
    throw new ClientError('ERR_RESPONSE', 'HEAD told no length', { response })
  }
  const size = Number(told)
  const length = headers.get('Upload-Length') ?? total
  const complete = status === 200 && range === null && !(Number(length) > size)
  return {
    size,
    complete,
    // `*`, or nothing. What has no byte to wait for is complete.
    length: complete ? size : Number(length) || null,
    response,
    ...fieldsOf(headers),
  }
}

/**
 * What a refusal says about the resource; null if it says nothing. A cache may answer `HEAD` with an
 * older state, while a refusal comes from the server itself.
 */
export function foundIn(response: Response, problem: Problem | null): Found | null {
  const { received, length, complete } = problem ?? {}
  const fields = fieldsOf(response.headers)
  // Without a tag of this state, `HEAD` is the better answer.
  if (typeof received !== 'number' || fields.etag === null) return null
  return {
    ...fields,
    // What the answer carries is the type of the problem document.
    type: null,
    size: received,
    complete: complete === true,
    length: Number(length) || null,
    response,
  }
}

function fieldsOf(headers: Headers): Pick<Found, 'etag' | 'type' | 'digest' | 'disposition'> {
  return {
    etag: strongTag(headers),
    type: headers.get('Content-Type'),
    digest: sha256Of(headers.get('Repr-Digest')),
    disposition: headers.get('Content-Disposition'),
  }
}

/**
 * Asks what is there, without the answer that described it.
 *
 * @throws ClientError
 */
export async function getStatus(connection: Connection): Promise<ResourceStatus | null> {
  const found = await find(connection)
  if (found === null) return null
  const { digest: _digest, disposition: _disposition, response: _response, ...status } = found
  return status
}

/** Statuses that say that nothing is there. */
export const MISSING: readonly number[] = [404, 410]

/** The entity tag that `If-Match` can match: a weak one never does (RFC 9110 §13.1.1). */
export function strongTag(headers: Headers): string | null {
  return /^".*/.exec(headers.get('ETag') ?? '')?.[0] ?? null
}

/** Whether an answer is a web page: a login, a portal, or an app that answers every URL. */
export function isPage(response: Response): boolean {
  return /^text\/html\b/i.test(response.headers.get('Content-Type') ?? '')
}

/** Makes the error for a web page in place of an answer. */
export function pageError(method: string, response: Response): ClientError {
  const message = `${method} was answered with ${response.status} and a web page: a login or a portal?`
  return new ClientError('ERR_RESPONSE', message, { response })
}

/**
 * Removes the version that was seen, if one was; false if there is none any more.
 *
 * @throws ClientError
 */
export async function removeResource(
  connection: Connection,
  etag?: string | null,
): Promise<boolean> {
  const response = await exchange(connection, { method: 'DELETE', headers: { 'If-Match': etag } })
  if (response.ok && isPage(response)) throw pageError('DELETE', response)
  if (response.ok || MISSING.includes(response.status)) return response.ok
  throw await responseError('DELETE', response, [412])
}
