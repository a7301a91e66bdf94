/** Writes ranges into a resource that exists, all of them or none. */
import { retrying } from './calls.ts'
import { responseError } from './error.ts'
import { connect, exchange, type Connection } from './exchange.ts'
import { encodeFields, encodeMessage, type MessagePart, type PatchDocument } from './message.ts'
import { resolveOptions, type Progress, type RequestOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { askStatus, compareRange, endsOf } from './resource.ts'
import { contentSize, pieceSize, type Platform } from './transport.ts'

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
  const settings = resolveOptions(options)
  const connection = connect(url, settings, platform)
  const { signal = new AbortController().signal, ifMatch = '*', onProgress } = options
  const document = encode(ranges, options)
  const size = contentSize(document.pieces)
  const meter = createProgressMeter(settings.clock, onProgress)
  let isAnswered = true

  return retrying(settings, signal, async () => {
    const isRepeated = !isAnswered
    isAnswered = false
    meter.start(0, size)
    const response = await exchange(connection, {
      method: 'PATCH',
      headers: {
        'Content-Type': document.type,
        'If-Match': ifMatch,
        Prefer: 'transaction=atomic',
      },
      body: document.pieces,
      signal,
      onProgress: (sent) => meter.move(sent, size),
    })
    isAnswered = true
    if (response.ok) return response
    if (response.status === 412 && isRepeated) {
      const applied = await findApplied(connection, ranges, options, signal)
      if (applied !== null) return applied
    }
    throw await responseError('PATCH', response)
  })
}

function encode(ranges: readonly PatchRange[], options: PatchOptions): PatchDocument {
  const { length = null, contentType = '' } = options
  const parts = ranges.map((range) => ({ ...range, completeLength: length, contentType }))
  const [part, ...more] = parts
  if (more.length > 0) return encodeMultipart(parts)
  if (part !== undefined) return encodeMessage(part)
  if (length === null) throw new TypeError('a patch needs a range, or a length')
  return encodeMessage({ start: length, data: null, completeLength: length, contentType })
}

/** Writes a `multipart/byteranges`. */
function encodeMultipart(parts: readonly MessagePart[]): PatchDocument {
  // Not crypto.randomUUID, which pages without TLS lack.
  const boundary = [...crypto.getRandomValues(new Uint32Array(4))].join('-')
  const framed = parts.map((part, index) => {
    const delimiter = `${index === 0 ? '' : '\r\n'}--${boundary}\r\n`
    const header = encodeFields(part, delimiter)
    return part.data === null ? [header] : [header, part.data]
  })
  const pieces = [...framed.flat(), new TextEncoder().encode(`\r\n--${boundary}--\r\n`)]
  const [first] = pieces
  return {
    type: `multipart/byteranges; boundary=${boundary}`,
    pieces,
    headerSize: first === undefined ? 0 : pieceSize(first),
  }
}

/** The state of the resource if both ends of every range are as the patch would have made them. */
async function findApplied(
  connection: Connection,
  ranges: readonly PatchRange[],
  { length }: PatchOptions,
  signal: AbortSignal,
): Promise<Response | null> {
  const { status, response } = await askStatus(connection, signal)
  if (status === null || (length !== undefined && status.length !== length)) return null
  for (const { start, data } of ranges) {
    const { compareSize } = connection.settings
    for (const range of endsOf(start, start + pieceSize(data), compareSize)) {
      const source = { read: async () => readRange(data, range.start - start, range.end - start) }
      const likeness = await compareRange(connection, status.etag, source, range, signal)
      if (likeness !== 'same') return null
    }
  }
  return response
}

async function readRange(data: Blob | Uint8Array, start: number, end: number): Promise<Uint8Array> {
  if (data instanceof Uint8Array) return data.subarray(start, end)
  return new Uint8Array(await data.slice(start, end).arrayBuffer())
}
