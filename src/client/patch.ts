/** Writes ranges into an existing resource with one request, which applies all of them or none. */
import { blobOf, type ByteSource } from './source/byte-source.ts'
import { expectSuccess, isUnderstood } from './answer.ts'
import { ClientError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { contentRange, encodeHeader } from './message.ts'
import type { Progress, RequestOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { hasSameRange } from './comparison.ts'
import { find } from './resource.ts'
import { TRANSFER } from './settings.ts'
import { contentSize, type BlobLike } from './transport/transport.ts'

/** The table of the options of `patch`, in the form that `settings.ts` describes. */
export const PATCH = { ...TRANSFER, ifMatch: '*', length: 0 }

/** Bytes and their position in the resource. */
export interface PatchRange {
  /**
   * Position of the first byte, counted from 0, at most the size of the resource. Beyond it the
   * server would have to invent the bytes in between, and refuses the patch with `ERR_GAP`.
   */
  readonly start: number
  /** The bytes. They may reach beyond the end of the resource, which then grows. */
  readonly data: Blob | Uint8Array
}

/** Options of `patch`. */
export interface PatchOptions extends RequestOptions {
  /**
   * Entity tag of the version that the ranges were made for, with its quotes. If another client has
   * changed the resource since, the server refuses the patch with 412 `ERR_PRECONDITION`.
   *
   * @default '*', which stands for any version
   */
  readonly ifMatch?: string
  /**
   * Length of the resource after the patch, in bytes. A smaller one than the present length
   * truncates the resource. Without ranges the patch only changes the length.
   *
   * @default the present length, or the end of the last range if that is greater
   */
  readonly length?: number
  /**
   * New media type of the resource, such as `text/plain; charset=utf-8`.
   *
   * @default the present one
   */
  readonly contentType?: string
  /**
   * Called as bytes move, at most every 50 ms. If it throws, the call ends and rejects with its
   * error.
   */
  readonly onProgress?: (progress: Progress) => void
}

/**
 * A range in the form that the client works with. `data` is sent, and `source` reads parts of the
 * same bytes to compare them with those of the server.
 */
export interface Part {
  readonly start: number
  readonly data: BlobLike
  readonly source: Pick<ByteSource, 'slice'>
}

/** Converts a range whose bytes are in memory or in a Blob. */
export function partOf({ start, data }: PatchRange): Part {
  const blob = data instanceof Blob ? data : blobOf(data)
  return { start, data: blob, source: blob }
}

/**
 * Returns a function that sends the patch, and that may be called again after a failure.
 *
 * If the connection breaks after the server has applied the patch, a retry under `If-Match` is
 * refused with 412, because the patch itself has changed the entity tag. The function then reads
 * the ranges back. If they hold the bytes of the patch, the call succeeds. It does the same after a
 * success from a server that does not identify itself as one of this protocol.
 *
 * @throws TypeError without ranges and without `length`, and for a range without bytes.
 */
export function createPatch(
  parts: readonly Part[],
  options: PatchOptions,
): (connection: Connection) => Promise<Response> {
  const { ifMatch = '*', length, onProgress } = options
  if (parts.length === 0 && length === undefined) {
    throw new TypeError('expected a range or `length`')
  }
  // Content-Range can't name a range without bytes.
  if (parts.some(({ data }) => data.size === 0)) throw new TypeError('a range has no bytes')
  const { type, body } = encode(parts, options)
  const headers = { 'Content-Type': type, 'If-Match': ifMatch, Prefer: 'transaction=atomic' }
  let isLost = false

  return async (connection) => {
    const mayBeApplied = isLost
    // Stays true if the request throws, because its answer was lost then.
    isLost = true
    const listener = connection.guard(onProgress)
    const meter = createProgressMeter(connection.clock, { size: contentSize(body) }, listener)
    meter.start(0)
    const request = { method: 'PATCH', headers, body, onProgress: meter.move }
    const response = await exchange(connection, request)
    isLost = false
    if (isUnderstood(response)) return response
    const { ok, status } = response
    const isUncertain = ok || (status === 412 && mayBeApplied)
    const applied = isUncertain ? await findApplied(connection, parts, options) : null
    if (applied !== null) return ok ? response : applied
    await expectSuccess('PATCH', response)
    const message = `PATCH was answered with ${status}, but the resource does not have the bytes of the patch`
    throw new ClientError('ERR_UNVERIFIED', message, { response })
  }
}

/**
 * Encodes the patch document: one part as `message/byteranges`, several as `multipart/byteranges`.
 */
function encode(
  ranges: readonly Part[],
  { length, contentType }: PatchOptions,
): { readonly type: string; readonly body: readonly BlobLike[] } {
  // The boundary must not occur in the data, so that it is random. `crypto.randomUUID` would be
  // shorter, but exists only in secure contexts (HTTPS or localhost).
  const boundary = crypto.getRandomValues(new Uint8Array(16)).join('')
  const isSingle = ranges.length < 2
  const delimiter = isSingle ? '' : `\r\n--${boundary}\r\n`
  const parts = ranges.length > 0 ? ranges : [{ start: 0, data: new Blob([]) }]
  const body: BlobLike[] = parts.flatMap(({ start, data }) => {
    const range = contentRange(start, data.size, length)
    const fields = { 'Content-Range': range, 'Content-Type': contentType }
    return [encodeHeader(fields, delimiter), data]
  })
  if (isSingle) return { type: 'message/byteranges', body }
  body.push(new Blob([`\r\n--${boundary}--\r\n`]))
  return { type: `multipart/byteranges; boundary=${boundary}`, body }
}

/**
 * Returns the answer to `HEAD` if the resource has the length, the type and in every range the
 * bytes of the patch; null otherwise.
 */
async function findApplied(
  connection: Connection,
  parts: readonly Part[],
  { length, contentType }: PatchOptions,
): Promise<Response | null> {
  const found = await find(connection)
  if (found === null || (length ?? found.length) !== found.length) return null
  const type = found.response.headers.get('Content-Type')
  if (contentType && type !== contentType) return null
  for (const { start, data, source } of parts) {
    if (!(await hasSameRange(connection, found.etag, source, data.size, start))) return null
  }
  return found.response
}
