/** Writes ranges into a resource that exists, all of them or none. */
import { blobOf } from './byte-source.ts'
import { retrying } from './calls.ts'
import { responseError } from './error.ts'
import { connect, exchange, type Connection } from './exchange.ts'
import { contentRange, encodeHeader } from './message.ts'
import type { Progress, RequestOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { hasSameEnds, find } from './resource.ts'
import { contentSize, type Piece, type Platform } from './transport.ts'

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
 * Sends a patch, again if need be. When an answer was lost, the ranges are compared with what is
 * there: had the patch been applied, it is not applied again.
 *
 * @throws TypeError for a wrong URL or option, and for no ranges without `length`.
 * @throws ClientError
 */
export async function sendPatch(
  url: string | URL,
  ranges: readonly PatchRange[],
  options: PatchOptions,
  platform: Platform,
): Promise<Response> {
  const connection = connect(url, options, platform)
  const { ifMatch = '*', onProgress } = options
  const parts = ranges.map(({ start, data }) => ({
    start,
    data: data instanceof Blob ? data : blobOf(data),
  }))
  const { type, body } = encode(parts, options)
  const meter = createProgressMeter(connection.clock, { size: contentSize(body) }, onProgress)
  const headers = { 'Content-Type': type, 'If-Match': ifMatch, Prefer: 'transaction=atomic' }
  let isAnswered = true

  return retrying(connection, async () => {
    const isRepeated = !isAnswered
    isAnswered = false
    meter.start(0)
    const message = { method: 'PATCH', headers, body, onProgress: meter.move }
    const response = await exchange(connection, message)
    isAnswered = true
    if (response.ok) return response
    const mayBeApplied = response.status === 412 && isRepeated
    const applied = mayBeApplied ? await findApplied(connection, parts, options) : null
    return applied ?? Promise.reject(await responseError('PATCH', response))
  })
}

function encode(
  parts: readonly Part[],
  { length, contentType }: PatchOptions,
): { readonly type: string; readonly body: readonly Piece[] } {
  const header = ({ start, data }: Part): Blob =>
    encodeHeader({
      'Content-Range': contentRange(start, data.size, length ?? null),
      'Content-Type': contentType,
    })
  const [part, ...more] = parts
  if (part === undefined && length === undefined) {
    throw new TypeError('a patch needs a range, or a length')
  }
  if (more.length === 0) {
    const only = part ?? { start: 0, data: new Blob([]) }
    return { type: 'message/byteranges', body: [header(only), only.data] }
  }
  // Not crypto.randomUUID, which pages without TLS lack.
  const boundary = crypto.getRandomValues(new Uint32Array(4)).join('-')
  const delimiter = new Blob([`\r\n--${boundary}\r\n`])
  const body = parts.flatMap((each) => [delimiter, header(each), each.data])
  return {
    type: `multipart/byteranges; boundary=${boundary}`,
    body: [...body, new Blob([`\r\n--${boundary}--\r\n`])],
  }
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
    const source = {
      slice: async (from: number, to: number) => data.slice(from - start, to - start),
    }
    const end = start + data.size
    if (!(await hasSameEnds(connection, found.etag, source, start, end))) return null
  }
  return found.response
}
