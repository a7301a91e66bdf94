/** Writes ranges into an existing resource, all of them or none. */
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

/** The options of `patch`, as `settings.ts` describes. */
export const PATCH = { ...TRANSFER, ifMatch: '*', length: 0 }

/** Bytes and their position in the resource. */
export interface PatchRange {
  /** Position of the first byte, at most the size of the resource. */
  readonly start: number
  /** The bytes. They may reach beyond the end of the resource, which then grows. */
  readonly data: Blob | Uint8Array
}

/** Options of `patch`. */
export interface PatchOptions extends RequestOptions {
  /**
   * Entity tag of the version that the ranges were made for, with its quotes. If the resource has
   * another one, the patch is refused with 412 `ERR_PRECONDITION`.
   *
   * @default '*', any version
   */
  readonly ifMatch?: string
  /**
   * Length of the resource after the patch, in bytes. Without ranges the patch only changes the length.
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
  /** Called as bytes move, at most every 50 ms. An exception ends the call, which rejects with it. */
  readonly onProgress?: (progress: Progress) => void
}

/** A range whose data can be read repeatedly, as a whole and in parts. */
export interface Part {
  readonly start: number
  readonly data: BlobLike
  readonly source: Pick<ByteSource, 'slice'>
}

/** Converts a range of the caller. */
export function partOf({ start, data }: PatchRange): Part {
  const blob = data instanceof Blob ? data : blobOf(data)
  return { start, data: blob, source: blob }
}

/**
 * Returns a function that sends a patch, and may be called again after a failure. If an answer was lost and
 * the next one is 412, the ranges are read back to find out whether the patch was already applied.
 *
 * @throws TypeError for no ranges without `length`.
 */
export function createPatch(
  parts: readonly Part[],
  options: PatchOptions,
): (connection: Connection) => Promise<Response> {
  const { ifMatch = '*', length, onProgress } = options
  if (parts.length === 0 && length === undefined) {
    throw new TypeError('expected a range or `length`')
  }
  const { type, body } = encode(parts, options)
  const headers = { 'Content-Type': type, 'If-Match': ifMatch, Prefer: 'transaction=atomic' }
  let isLost = false

  return async (connection) => {
    const mayBeApplied = isLost
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
    const message = `PATCH was answered with ${status}, but the ranges do not hold the bytes`
    throw new ClientError('ERR_UNVERIFIED', message, { response })
  }
}

function encode(
  ranges: readonly Part[],
  { length, contentType }: PatchOptions,
): { readonly type: string; readonly body: readonly BlobLike[] } {
  // Not crypto.randomUUID, which does not exist in pages without TLS.
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

/** The answer to `HEAD` if every range holds the bytes of the patch; null otherwise. */
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
