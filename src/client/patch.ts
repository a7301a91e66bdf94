/** Writes ranges into a resource that exists, all of them or none. */
import { blobOf } from './source/byte-source.ts'
import { responseError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { contentRange, encodeHeader } from './message.ts'
import type { Progress, RequestOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { hasSameEnds, find } from './resource.ts'
import { contentSize } from './transport/transport.ts'

/** Bytes and where they go. */
export interface PatchRange {
  /** Position of the first byte, at most the size of the resource. */
  readonly start: number
  /** What is written there. It may reach beyond the end of the resource. */
  readonly data: Blob | Uint8Array
}

/** Options of `patch`. */
export interface PatchOptions extends RequestOptions {
  /**
   * Entity tag of the version that the ranges were made for. Another version is left alone: 412.
   *
   * @default '*', any version
   */
  readonly ifMatch?: string
  /**
   * Length that the finished resource has after the patch, in bytes. With no ranges it shortens the
   * resource.
   *
   * @default what the ranges leave
   */
  readonly length?: number
  /**
   * Media type that the resource gets.
   *
   * @default the one it has
   */
  readonly contentType?: string
  /** Called as bytes move, at most every 50 ms. */
  readonly onProgress?: (progress: Progress) => void
}

/** A range of which the data is a Blob. */
interface Part {
  readonly start: number
  readonly data: Blob
}

/**
 * Makes what sends a patch, as often as need be. When an answer was lost, the ranges are compared with
 * what is there: had the patch been applied, it is not applied again.
 *
 * @throws TypeError for no ranges without `length`.
 */
export function createPatch(
  ranges: readonly PatchRange[],
  options: PatchOptions,
): (connection: Connection) => Promise<Response> {
  const { ifMatch = '*', length, onProgress } = options
  if (ranges.length === 0 && length === undefined) {
    throw new TypeError('expected a range or `length`')
  }
  const parts = ranges.map(({ start, data }) => ({
    start,
    data: data instanceof Blob ? data : blobOf(data),
  }))
  const { type, body } = encode(parts, options)
  const headers = { 'Content-Type': type, 'If-Match': ifMatch, Prefer: 'transaction=atomic' }
  let isLost = false

  return async (connection) => {
    const mayBeApplied = isLost
    isLost = true
    const meter = createProgressMeter(connection.clock, { size: contentSize(body) }, onProgress)
    meter.start(0)
    const message = { method: 'PATCH', headers, body, onProgress: meter.move }
    const response = await exchange(connection, message)
    isLost = false
    if (response.ok) return response
    const isRefused = response.status === 412 && mayBeApplied
    const applied = isRefused ? await findApplied(connection, parts, options) : null
    return applied ?? Promise.reject(await responseError('PATCH', response))
  }
}

function encode(
  ranges: readonly Part[],
  { length, contentType }: PatchOptions,
): { readonly type: string; readonly body: readonly Blob[] } {
  // Not crypto.randomUUID, which pages without TLS lack.
  const boundary = crypto.getRandomValues(new Uint8Array(16)).join('')
  const delimiter = `\r\n--${boundary}`
  const parts = ranges.length > 0 ? ranges : [{ start: 0, data: new Blob([]) }]
  const body = parts.flatMap(({ start, data }) => {
    const range = { 'Content-Range': contentRange(start, data.size, length ?? null) }
    const header = encodeHeader({ ...range, 'Content-Type': contentType })
    return [new Blob([delimiter, '\r\n']), header, data]
  })
  if (parts.length === 1) return { type: 'message/byteranges', body: body.slice(1) }
  body.push(new Blob([delimiter, '--\r\n']))
  return { type: `multipart/byteranges; boundary=${boundary}`, body }
}

/** The state of the resource if both ends of every range are as the patch would have made them. */
async function findApplied(
  connection: Connection,
  parts: readonly Part[],
  { length }: PatchOptions,
): Promise<Response | null> {
  const found = await find(connection)
  if (found === null || (length ?? found.length) !== found.length) return null
  for (const { start, data } of parts) {
    if (!(await hasSameEnds(connection, found.etag, data, data.size, start))) return null
  }
  return found.response
}
