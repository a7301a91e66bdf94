/** What is at a URL: asking for it, comparing it with a source, removing it. */
import { ClientError, isTransient, responseError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import type { ByteSource } from './byte-source.ts'

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

/**
 * Asks what is there; null if nothing is. The answer comes along.
 *
 * @throws ClientError
 */
export async function askStatus(
  connection: Connection,
  signal: AbortSignal,
): Promise<{ readonly status: ResourceStatus | null; readonly response: Response }> {
  const response = await exchange(connection, { method: 'HEAD', signal })
  if ([404, 410].includes(response.status)) return { status: null, response }
  if (!response.ok) throw await responseError('HEAD', response)
  return { status: parseStatus(response), response }
}

/** Of the revisions of the draft some answer 200 while the resource is incomplete: its range tells. */
function parseStatus(response: Response): ResourceStatus {
  const { status, headers } = response
  const range = /^bytes (?:0-([0-9]+)|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '')
  const contentLength = headers.get('content-length')
  const size = contentLength ?? (range === null ? null : Number(range[1] ?? -1) + 1)
  if (size === null) {
    throw new ClientError('ERR_RESPONSE', 'HEAD was answered without a Content-Length')
  }
  const complete = status === 200 && range === null
  return {
    size: Number(size),
    complete,
    length: complete ? Number(size) : knownLength(range?.[2]),
    etag: strongTag(response),
    type: headers.get('content-type'),
  }
}

/** The entity tag that `If-Match` can match: a weak one never does (RFC 9110 §13.1.1). */
export function strongTag({ headers }: Response): string | null {
  const etag = headers.get('etag')
  return etag?.startsWith('"') === true ? etag : null
}

function knownLength(digits: string | undefined): number | null {
  return digits === undefined || digits === '*' ? null : Number(digits)
}

/** Whether a resource is the same file as a source, as far as can be known. */
export type Likeness = 'same' | 'different' | 'unknown'

/**
 * Compares a resource with a source: lengths, and `compareSize` bytes at either end of what is there.
 *
 * @throws ClientError when the server fails or the resource changes meanwhile.
 */
export async function compare(
  connection: Connection,
  status: ResourceStatus,
  source: ByteSource,
  signal: AbortSignal,
): Promise<Likeness> {
  const { size, length, complete } = status
  if (source.size !== null && (size > source.size || (length ?? source.size) !== source.size)) {
    return 'different'
  }
  const { compareSize } = connection.settings
  for (const range of endsOf(0, size, compareSize)) {
    const likeness = await compareRange(connection, status.etag, source, range, signal)
    if (likeness !== 'same') return likeness
  }
  if (!complete) return 'same'
  const more = await source.read(size, size + 1)
  return more.byteLength === 0 && source.size === size ? 'same' : 'different'
}

/** A range, half-open. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The first and last bytes of a range, or all of it if it is short. */
export function endsOf(start: number, end: number, size: number): readonly Range[] {
  if (end === start || size === 0) return []
  if (end - start <= 2 * size) return [{ start, end }]
  return [
    { start, end: start + size },
    { start: end - size, end },
  ]
}

/** Compares one range, which is held in memory. */
export async function compareRange(
  connection: Connection,
  etag: string | null,
  source: Pick<ByteSource, 'read'>,
  { start, end }: Range,
  signal: AbortSignal,
): Promise<Likeness> {
  const headers = {
    Range: `bytes=${start}-${end - 1}`,
    ...(etag === null ? {} : { 'If-Match': etag }),
  }
  const response = await exchange(connection, { method: 'GET', headers, signal })
  // 412: it changes while we look.
  if (response.status === 412 || isTransient(response)) {
    throw await responseError('GET', response, true)
  }
  if (response.status !== 206) return 'unknown'
  const there = new Uint8Array(await response.arrayBuffer())
  const here = await source.read(start, end)
  const isSame =
    there.byteLength === here.byteLength && there.every((byte, index) => byte === here[index])
  return isSame ? 'same' : 'different'
}

/**
 * Removes the version that was seen. Does nothing if there is none any more.
 *
 * @throws ClientError
 */
export async function removeResource(
  connection: Connection,
  etag: string | null,
  signal: AbortSignal,
): Promise<void> {
  const headers: Record<string, string> = etag === null ? {} : { 'If-Match': etag }
  const response = await exchange(connection, { method: 'DELETE', headers, signal })
  if (response.ok || [404, 410].includes(response.status)) return
  throw await responseError('DELETE', response, response.status === 412 || isTransient(response))
}
