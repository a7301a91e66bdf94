/** The protocol of an upload, one request at a time: what to send next, and what an answer means. */
import type { ByteSource } from './byte-source.ts'
import { abortable } from './clock.ts'
import { digestContent, type SourceDigest } from './digest.ts'
import { ClientError, isTransient, responseError } from './error.ts'
import { exchange, type Connection, type Message } from './exchange.ts'
import { contentRange, encodeHeader } from './message.ts'
import type { UploadOptions } from './options.ts'
import type { ProgressMeter } from './progress.ts'
import { find, isMissing, isSame, removeResource, strongTag, type Found } from './resource.ts'
import { contentSize } from './transport.ts'

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

/** What is at the URL, as far as this client knows. */
interface Remote {
  readonly size: number
  readonly etag: string | null
}

interface Segment {
  readonly message: Message
  /** Bytes before the data. */
  readonly headerSize: number
  readonly start: number
  readonly end: number
  readonly isLast: boolean
}

const NOTHING = { start: 0, end: 0 }

/** One upload between its requests. */
export class Transfer {
  /** Bytes of this file that the server is known to have. */
  received = 0
  readonly #source: ByteSource
  readonly #options: UploadOptions
  /** The digest of the source; null if it is not wanted. */
  readonly #digest: SourceDigest | null
  readonly #meter: ProgressMeter
  #limit: number
  /** What is there: null for nothing, undefined as long as the server has to be asked. */
  #remote: Remote | null | undefined
  /** Nobody has said yet that nothing is there. */
  #isGuess: boolean
  /** The server does not know `PATCH`: the whole goes as one `PUT`. */
  #isPut = false
  /** The answer to the last segment, until the server is asked whether it was the final one. */
  #final: Response | null = null
  /** What is there is known to be this file. */
  #isOurs = false
  /** A creation was sent whose answer may have been lost. */
  #hasTried = false
  /** What has left of the segment that has got no answer. */
  #lost = NOTHING
  /** One past the last byte that this client may have brought there. */
  #reach = 0

  constructor(
    source: ByteSource,
    options: UploadOptions,
    digest: SourceDigest | null,
    meter: ProgressMeter,
  ) {
    this.#source = source
    this.#options = options
    this.#digest = digest
    this.#meter = meter
    const isHeld = source.once || options.contentDigest === true
    this.#limit = options.segmentSize || (isHeld ? USUAL_SEGMENT : Infinity)
    this.#isGuess = source.size !== null && source.size <= SMALL
    this.#remote = this.#isGuess ? null : undefined
  }

  /** Whether the next step sends, and does not ask. */
  get isSending(): boolean {
    return this.#remote !== undefined
  }

  /** Asks anew before the next segment: something has come between. */
  forget(): void {
    this.#remote = undefined
    this.#lost = NOTHING
  }

  /**
   * Asks, or sends a segment. Resolves with the final response when all is there, and else with null.
   *
   * @throws ClientError after which, if it is transient, another step may succeed.
   */
  async step(connection: Connection): Promise<Response | null> {
    const remote = this.#remote
    if (remote === undefined) return this.#look(connection)
    // Whatever goes wrong from here on, the server must be asked before the next segment.
    this.#remote = undefined
    const segment = await abortable(this.#next(remote, connection), connection.signal)
    const response = await exchange(connection, segment.message)
    return this.#accept(remote, segment, response)
  }

  async #look(connection: Connection): Promise<Response | null> {
    const found = await find(connection)
    const size = found?.size ?? 0
    const { start, end } = this.#lost
    // Of so much not a byte has arrived: something on the way holds requests back until they are whole.
    if (start === size && end - start >= LEAST_LOSS) this.#shrink((end - start) / 2)
    this.#lost = NOTHING
    if (this.#final !== null && found?.complete !== true) {
      this.#final = null
      throw new ClientError('ERR_RESPONSE', 'the server waits for more than all', {
        transient: true,
      })
    }
    const isKnown = this.#recognises(size, found)
    const kept = isKnown ? found : await this.#inspect(found, connection)
    this.#isOurs = kept !== null
    this.received = kept?.size ?? 0
    this.#reach = Math.max(this.received, isKnown ? this.#reach : 0)
    this.#meter.start(this.received)
    this.#remote = kept
    return kept?.complete === true ? (this.#final ?? kept.response) : null
  }

  /** Whether what is there is what this client has left: nothing that it can't have brought. */
  #recognises(size: number, found: Found | null): boolean {
    // A browser may not have told all that has left. A stream could not be compared.
    const isInReach = size >= this.received && (size <= this.#reach || this.#source.once)
    const length = found?.length ?? this.#source.size
    return this.#isOurs && isInReach && length === (this.#source.size ?? length)
  }

  /** Makes sure that what is there is the same file, or makes room for it. */
  async #inspect(found: Found | null, connection: Connection): Promise<Found | null> {
    if (found === null) return null
    const isAlike = await isSame(connection, found, this.#source)
    if (isAlike ?? this.#hasTried) return found
    if (this.#options.overwrite === true) {
      await removeResource(connection, found.etag)
      return null
    }
    const there = `the URL holds ${found.size} bytes`
    if (isAlike === null) throw new ClientError('ERR_UNVERIFIED', `${there} that can't be compared`)
    throw new ClientError('ERR_DIFFERENT', `${there} of a different file`)
  }

  async #next(remote: Remote | null, { createHash, signal }: Connection): Promise<Segment> {
    const source = this.#source
    const isPut = this.#isPut
    const start = isPut ? 0 : (remote?.size ?? 0)
    const data = await source.slice(start, this.#end(start))
    const end = start + data.size
    const isLast = end === source.size
    const digesting = this.#digest?.follow(source, end, signal)
    // What goes wrong here comes up when the last segment needs the digest.
    if (!isLast) void digesting?.catch(() => undefined)
    else await digesting
    const about = {
      'Content-Type': remote === null ? (this.#options.contentType ?? source.type) : null,
      'Repr-Digest': isLast ? this.#digest?.format() : null,
    }
    const range = { 'Content-Range': contentRange(start, data.size, source.size) }
    const head = isPut ? [] : [encodeHeader({ ...range, ...about })]
    const headerSize = contentSize(head)
    const body = [...head, data]
    const isDigested = this.#options.contentDigest === true
    const headers = {
      ...(isPut ? about : { 'Content-Type': 'message/byteranges' }),
      'If-None-Match': remote === null ? '*' : null,
      'If-Match': remote?.etag,
      'Content-Digest': isDigested ? await digestContent(createHash(), body) : null,
    }
    this.#hasTried ||= remote === null
    const onProgress = (sent: number): void => {
      const reach = Math.min(end, start + Math.max(0, sent - headerSize))
      this.#lost = { start, end: reach }
      this.#reach = Math.max(this.#reach, reach)
      this.#meter.move(reach)
    }
    const message = { method: isPut ? 'PUT' : 'PATCH', headers, body, onProgress }
    return { message, headerSize, start, end, isLast }
  }

  #end(start: number): number {
    const { size, once } = this.#source
    const end = start + this.#limit
    if (this.#isPut) return Infinity
    if (size === null || end < size) return end
    const last = this.#digest === null || once ? size : size - LAST_SEGMENT
    return start < last ? last : size
  }

  async #accept(
    remote: Remote | null,
    segment: Segment,
    response: Response,
  ): Promise<Response | null> {
    const { message, end, isLast } = segment
    const { status } = response
    const isGuess = this.#isGuess
    this.#isGuess = false
    this.#lost = NOTHING
    if (status === 412 && isGuess) return null
    if (!response.ok) {
      const isConflict = status === 412 || (remote !== null && isMissing(response))
      const isPassing = isConflict || isTransient(response)
      const error = await responseError(message.method, response, isPassing)
      if (this.#yields(segment, error)) return null
      throw error
    }
    this.#isOurs = true
    this.received = end
    this.#reach = Math.max(this.#reach, end)
    this.#meter.move(end)
    if (!isLast) {
      this.#remote = { size: end, etag: strongTag(response) }
      return null
    }
    // 202 and 299 do not tell that all is there, but an app may have chosen them to: ask.
    if (status !== 202 && status < 209) return response
    this.#final = response
    return null
  }

  /** Remembers for the rest of the upload what may get through. */
  #shrink(size: number): void {
    this.#limit = Math.min(this.#limit, Math.floor(size), USUAL_SEGMENT)
  }

  /** Whether something smaller, or a `PUT`, can go where this segment was refused. */
  #yields({ start, end, headerSize, isLast }: Segment, { status, problem }: ClientError): boolean {
    if (this.#isPut) return false
    if (status === 413) {
      const told = Number(problem?.['limit']) - headerSize
      const size = end - start
      // A limit that this segment kept to is not the one that was meant.
      this.#shrink(told < size ? told : size / 2)
      return this.#limit > 0
    }
    // What a server says that knows no PATCH, or not this kind of it.
    const isPutable = !this.#source.once || (start === 0 && isLast)
    this.#isPut = isPutable && [405, 415, 501].includes(status ?? 0)
    return this.#isPut
  }
}
