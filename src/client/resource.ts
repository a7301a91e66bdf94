/** What is at a URL: asking for it, comparing it with a source, removing it. */
import { readRange, type ByteSource } from './source/byte-source.ts'
import { abortable } from './clock.ts'
import { ClientError, responseError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { MAX_ANSWER } from './transport/transport.ts'

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
  const { status, ok, headers } = response
  if (MISSING.includes(status)) return null
  if (!ok) throw await responseError('HEAD', response)
  // Of the revisions of the draft some answer 200 while a resource is incomplete: its range tells.
  const range = /^bytes (?:0-(\d+)|\*)\/(.+)$/.exec(headers.get('Content-Range') ?? '')
  const [, last = -1, total] = range ?? []
  const told = headers.get('Content-Length') ?? (range && Number(last) + 1)
  if (told === null) {
    throw new ClientError('ERR_RESPONSE', 'HEAD told no length')
  }
  const size = Number(told)
  const complete = status === 200 && range === null
  return {
    size,
    complete,
    // `*`, or nothing. What has no byte to wait for is complete.
    length: complete ? size : Number(total) || null,
    etag: strongTag(headers),
    type: headers.get('Content-Type'),
    response,
  }
}

/**
 * Asks what is there, without the answer that told it.
 *
 * @throws ClientError
 */
export async function getStatus(connection: Connection): Promise<ResourceStatus | null> {
  const found = await find(connection)
  if (found === null) return null
  const { response: _response, ...status } = found
  return status
}

/** Statuses that say that nothing is there. */
export const MISSING: readonly number[] = [404, 410]

/** The entity tag that `If-Match` can match: a weak one never does (RFC 9110 §13.1.1). */
export function strongTag(headers: Headers): string | null {
  return /^".*/.exec(headers.get('ETag') ?? '')?.[0] ?? null
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
  const isAlike = await hasSameEnds(connection, etag, source, size)
  if (isAlike !== true || !complete) return isAlike
  // This tells whether a stream ends here.
  await source.slice(size, size)
  return source.size === size
}

/**
 * Compares the first and last bytes of a source of `length` bytes, or all of it if it is short, with
 * what is there from `offset`; null if the server does not let them be compared. What is compared is
 * held in memory.
 *
 * @throws ClientError
 */
export async function hasSameEnds(
  connection: Connection,
  etag: string | null,
  source: Pick<ByteSource, 'slice'>,
  length: number,
  offset: number = 0,
): Promise<boolean | null> {
  const { signal, compareSize = 64 * 1024 } = connection
  // An answer must fit into what is kept of one.
  const size = Math.min(Math.ceil(compareSize), MAX_ANSWER / 2)

  async function compare(start: number, end: number): Promise<boolean | null> {
    const headers = { Range: `bytes=${offset + start}-${offset + end - 1}`, 'If-Match': etag }
    const response = await exchange(connection, { method: 'GET', headers })
    if (response.status !== 206) {
      // 412: it changes while we look.
      const error = await responseError('GET', response, [412])
      return error.transient ? Promise.reject(error) : null
    }
    const there = new Uint8Array(await response.arrayBuffer())
    const here = await abortable(readRange(source, start, end), signal)
    return there.join() === here.join()
  }

  if (length * size === 0) return true
  if (length <= 2 * size) return compare(0, length)
  return (await compare(0, size)) && compare(length - size, length)
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
  if (response.ok || MISSING.includes(response.status)) return response.ok
  throw await responseError('DELETE', response, [412])
}
