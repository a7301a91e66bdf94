/** What is at a URL: asking for it, comparing it with a source, removing it. */
import { readRange, type ByteSource } from './byte-source.ts'
import { abortable } from './clock.ts'
import { ClientError, isTransient, responseError } from './error.ts'
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

/** What is there, with the answer that told it. */
export interface Found extends ResourceStatus {
  readonly response: Response
}

/**
 * Asks what is there; null if nothing is.
 *
 * @throws ClientError
 */
export async function find(connection: Connection): Promise<Found | null> {
  const response = await exchange(connection, { method: 'HEAD' })
  if (isMissing(response)) return null
  if (!response.ok) throw await responseError('HEAD', response)
  const { status, headers } = response
  // Of the revisions of the draft some answer 200 while a resource is incomplete: its range tells.
  const range = /^bytes (?:0-([0-9]+)|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '')
  const [, last = -1, total] = range ?? []
  const told = headers.get('content-length') ?? (range && Number(last) + 1)
  if (told === null) {
    throw new ClientError('ERR_RESPONSE', 'HEAD was answered with no Content-Length')
  }
  const size = Number(told)
  const complete = status === 200 && range === null
  const length = complete ? size : Number(total)
  return {
    size,
    complete,
    // `*`, or nothing.
    length: Number.isNaN(length) ? null : length,
    etag: strongTag(response),
    type: headers.get('content-type'),
    response,
  }
}

/** Whether an answer says that nothing is there. */
export function isMissing({ status }: Response): boolean {
  return status === 404 || status === 410
}

/** The entity tag that `If-Match` can match: a weak one never does (RFC 9110 §13.1.1). */
export function strongTag({ headers }: Response): string | null {
  const etag = headers.get('etag')
  return etag?.startsWith('"') === true ? etag : null
}

/**
 * Whether a resource is the same file as a source, by the lengths, and `compareSize` bytes at either
 * end of what is there; null if the server does not let it be known.
 *
 * @throws ClientError when the server fails or the resource changes meanwhile.
 */
export async function isSame(
  connection: Connection,
  { size, length, complete, etag }: ResourceStatus,
  source: ByteSource,
): Promise<boolean | null> {
  const whole = source.size ?? length ?? size
  if (size > whole || (length ?? whole) !== whole) return false
  const isAlike = await hasSameEnds(connection, etag, source, 0, size)
  if (isAlike !== true || !complete) return isAlike
  // This tells whether a stream ends here.
  await source.slice(size, size)
  return source.size === size
}

/**
 * Compares the first and last bytes of a range, or all of it if it is short; null if the server does
 * not let them be compared.
 *
 * @throws ClientError
 */
export async function hasSameEnds(
  connection: Connection,
  etag: string | null,
  source: Pick<ByteSource, 'slice'>,
  start: number,
  end: number,
): Promise<boolean | null> {
  const { compareSize } = connection
  if (end === start || compareSize === 0) return true
  const isShort = end - start <= 2 * compareSize
  const first = isShort ? end : start + compareSize
  const isAlike = await hasSameRange(connection, etag, source, start, first)
  if (isShort || isAlike !== true) return isAlike
  return hasSameRange(connection, etag, source, end - compareSize, end)
}

/** Compares one range, which is held in memory. */
async function hasSameRange(
  connection: Connection,
  etag: string | null,
  source: Pick<ByteSource, 'slice'>,
  start: number,
  end: number,
): Promise<boolean | null> {
  const headers = { Range: `bytes=${start}-${end - 1}`, 'If-Match': etag }
  const response = await exchange(connection, { method: 'GET', headers })
  // 412: it changes while we look.
  if (response.status === 412 || isTransient(response)) {
    throw await responseError('GET', response, true)
  }
  if (response.status !== 206) return null
  const there = new Uint8Array(await response.arrayBuffer())
  const here = await abortable(readRange(source, start, end), connection.signal)
  return there.join() === here.join()
}

/**
 * Removes the version that was seen; false if there is none any more.
 *
 * @throws ClientError
 */
export async function removeResource(
  connection: Connection,
  etag: string | null,
): Promise<boolean> {
  const response = await exchange(connection, { method: 'DELETE', headers: { 'If-Match': etag } })
  if (response.ok || isMissing(response)) return response.ok
  throw await responseError('DELETE', response, response.status === 412 || isTransient(response))
}
