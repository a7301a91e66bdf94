/** The protocol of an upload, one request at a time: what to send next, and what an answer means. */
import type { ByteSource } from './source/byte-source.ts'
import { abortable } from './clock.ts'
import { digestContent, digestSource } from './digest.ts'
import { ClientError, responseError, type ClientErrorCode } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { contentRange, encodeHeader } from './message.ts'
import type { UploadOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { find, MISSING, isSame, removeResource, strongTag, type Found } from './resource.ts'
import type { Retry } from './retry.ts'
import { contentSize, type Hash } from './transport/transport.ts'

/** Up to this size a file is sent without asking first what is there. */
const SMALL = 64 * 1024
/** The last segment is no longer than this if it carries the digest of the whole. */
const LAST_SEGMENT = 1024 * 1024
/**
 * Segments that are held in memory; also a guess after the first trouble on the way: proxies commonly
 * take less, and it is halved from there.
 */
const USUAL_SEGMENT = 8 * 1024 * 1024
/** Less than this may get lost in the buffers of a broken connection. */
const LEAST_LOSS = 64 * 1024

/** One upload between its requests. */
export interface Transfer {
  /** Whether the next step sends, and does not ask. */
  readonly isSending: () => boolean
  /**
   * Asks, or sends a segment. Resolves with the final response when all is there, and else with null.
   *
   * @throws ClientError after which, if it is transient, another step may succeed.
   */
  readonly step: (signal: AbortSignal) => Promise<Response | null>
  /** Takes back what the last step seemed to tell of the way: something else has ended it. */
  readonly forget: () => void
}

/** Begins to upload a source; `hash` is null if no `Repr-Digest` is wanted. */
export function createTransfer(
  upload: Connection,
  source: ByteSource,
  options: UploadOptions,
  hash: Hash | null,
  retry: Retry,
): Transfer {
  const meter = createProgressMeter(upload.clock, source, options.onProgress)
  const { contentDigest = false, segmentSize = 0 } = options
  let limit = Math.ceil(segmentSize) || (source.once || contentDigest ? USUAL_SEGMENT : Infinity)
  /** Nobody has said yet that nothing is there. */
  let isGuess = source.size !== null && source.size <= SMALL
  /** Entity tag of what is there, or ''; null for nothing, undefined as long as the server has to be asked. */
  let remote: string | null | undefined = isGuess ? null : undefined
  let received = 0
  /** One past the last byte that this client may have brought there. */
  let reach = 0
  /** Bytes that have left of the segment that has got no answer. */
  let lost = 0
  /** What is there is known to be this file. */
  let isOurs = false
  /** A creation was sent whose answer may have been lost. */
  let hasTried = false
  /** The server does not know `PATCH`: the whole goes as one `PUT`. */
  let isPut = false
  /** The answer to the last segment, until the server is asked whether it was the final one. */
  let final: Response | null = null
  /** Hashed beside the transfer, which a retry does not disturb. */
  let digest: Promise<string> | null = null

  async function step(signal: AbortSignal): Promise<Response | null> {
    const before = remote
    // Whatever goes wrong from here on, the server must be asked before the next segment.
    remote = undefined
    const connection = { ...upload, signal }
    return before === undefined ? look(connection) : send(before, connection)
  }

  async function look(connection: Connection): Promise<Response | null> {
    const found = await find(connection)
    const size = found?.size ?? 0
    const isComplete = found?.complete === true
    // Of so much not a byte has arrived: something on the way holds requests back until they are whole.
    if (size === received && lost >= LEAST_LOSS) shrink(lost / 2)
    lost = 0
    if (final !== null && !isComplete) {
      final = null
      throw new ClientError('ERR_RESPONSE', 'still incomplete', { transient: true })
    }
    const isKnown = recognises(size, found)
    const kept = isKnown ? found : await inspect(found, connection)
    isOurs = kept !== null
    remote = kept && (kept.etag ?? '')
    if (!isKnown) reach = 0
    arrive(isOurs ? size : 0)
    meter.start(received)
    return isOurs && isComplete ? (final ?? found.response) : null
  }

  /** Whether what is there is what this client has left: nothing that it can't have brought. */
  function recognises(size: number, found: Found | null): boolean {
    // A browser may not have told all that has left. A stream could not be compared.
    const isInReach = size >= received && size <= (source.once ? Infinity : reach)
    const length = found?.length ?? source.size
    return isOurs && isInReach && length === (source.size ?? length)
  }

  /** Makes sure that what is there is the same file, or makes room for it. */
  async function inspect(found: Found | null, connection: Connection): Promise<Found | null> {
    if (found === null) return null
    const isAlike = await isSame(connection, found, source)
    if (isAlike ?? hasTried) return found
    if (options.overwrite) {
      await removeResource(connection, found.etag)
      return null
    }
    const [code, kind]: [ClientErrorCode, string] =
      isAlike === null ? ['ERR_UNVERIFIED', 'an unknown'] : ['ERR_DIFFERENT', 'a different']
    throw new ClientError(code, `the URL holds ${found.size} bytes of ${kind} file`)
  }

  async function send(before: string | null, connection: Connection): Promise<Response | null> {
    const { signal } = connection
    const start = isPut ? 0 : received
    const data = await abortable(source.slice(start, endAfter(start)), signal)
    const { size } = data
    const end = start + size
    const isLast = end === source.size
    if (isLast || !source.once) digest ??= hash && digestSource(hash, source, upload.signal)
    // What goes wrong here comes up with the last segment, which alone tells the digest.
    void digest?.catch(() => undefined)
    const about = {
      'Content-Type': before === null ? (options.contentType ?? source.type) : null,
      'Repr-Digest': isLast ? await abortable(digest, signal) : null,
    }
    const range = contentRange(start, size, source.size)
    const head = isPut ? [] : [encodeHeader({ 'Content-Range': range, ...about })]
    const headerSize = contentSize(head)
    const body = [...head, data]
    const method = isPut ? 'PUT' : 'PATCH'
    const headers = {
      ...(isPut ? about : { 'Content-Type': 'message/byteranges' }),
      'If-None-Match': before === null ? '*' : null,
      'If-Match': before,
      'Content-Digest': contentDigest ? await digestContent(upload.createHash(), body) : null,
    }
    hasTried ||= before === null
    const onProgress = (sent: number): void => {
      lost = Math.max(0, sent - headerSize)
      reach = Math.max(reach, start + lost)
      meter.move(start + lost)
    }
    const response = await exchange(connection, { method, headers, body, onProgress })
    lost = 0
    if (!response.ok) {
      const isAnswer = isGuess && response.status === 412
      isGuess = false
      if (isAnswer) return null
      const passing = before === null ? [412] : [409, 412, ...MISSING]
      const error = await responseError(method, response, passing)
      const told = Number(error.problem?.['limit']) - headerSize
      if (yields(response.status, size, told, start === 0 && isLast)) return null
      throw error
    }
    isOurs = true
    arrive(end)
    meter.move(end)
    if (!isLast) remote = strongTag(response.headers) ?? ''
    // 202 and 299 do not tell that all is there, but an app may have chosen them to: ask.
    else if (response.status !== 202 && response.status < 209) return response
    else final = response
    return null
  }

  function endAfter(start: number): number {
    if (isPut) return Infinity
    const last = hash === null || source.once ? 0 : (source.size ?? 0) - LAST_SEGMENT
    return start < last ? Math.min(start + limit, last) : start + limit
  }

  function arrive(end: number): void {
    received = end
    reach = Math.max(reach, end)
    retry.reached(end)
  }

  /** Remembers for the rest of the upload what may get through. */
  function shrink(size: number): void {
    limit = Math.min(limit, Math.floor(size), USUAL_SEGMENT)
  }

  /** Whether something smaller, or a `PUT`, can go where a segment of `size` bytes was refused. */
  function yields(status: number, size: number, told: number, isWhole: boolean): boolean {
    if (isPut) return false
    if (status === 413) {
      // A limit that this segment kept to is not the one that was meant.
      shrink(told < size ? told : size / 2)
      return limit > 0
    }
    // What a server says that knows no PATCH, or not this kind of it.
    isPut = (!source.once || isWhole) && [405, 415, 501].includes(status)
    return isPut
  }

  return {
    step,
    isSending: () => remote !== undefined,
    forget: () => {
      lost = 0
    },
  }
}
