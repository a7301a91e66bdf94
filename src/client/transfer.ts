/** The protocol of an upload, one request at a time: what to send next, and what an answer means. */
import { abortable } from './clock.ts'
import type { Digests } from './digest.ts'
import { ClientError, isTransient, responseError } from './error.ts'
import { exchange, type Connection } from './exchange.ts'
import { encodeMessage, type PatchDocument } from './message.ts'
import type { UploadOptions } from './options.ts'
import { askStatus, compare, removeResource, strongTag, type ResourceStatus } from './resource.ts'
import { SegmentLimit } from './segment-limit.ts'
import type { ByteSource } from './byte-source.ts'
import { pieceSize } from './transport.ts'

/** Up to this size a file is sent without asking first what is there. */
const SMALL = 64 * 1024
/** The last segment is no longer than this if it carries the digest of the whole. */
const LAST_SEGMENT = 1024 * 1024

/** What a transfer works with. */
export interface TransferContext {
  readonly connection: Connection
  readonly source: ByteSource
  readonly options: UploadOptions
  /** The digests to send along; null if none is wanted. */
  readonly digests: Digests | null
  /** Told where the transfer stands when the server has said it. */
  readonly onPosition: (sent: number) => void
  /** Told how far the network has taken bytes. */
  readonly onProgress: (sent: number) => void
}

/** What is at the URL, as far as this client knows. */
interface Remote extends ResourceStatus {
  /** The answer that told it; null if this client only assumes it. */
  readonly response: Response | null
  readonly exists: boolean
}

interface Segment extends PatchDocument {
  readonly start: number
  readonly end: number
  readonly isLast: boolean
  readonly headers: Readonly<Record<string, string>>
}

const NOTHING: Remote = {
  exists: false,
  size: 0,
  complete: false,
  length: null,
  etag: null,
  type: null,
  response: null,
}

/** One upload between its requests. */
export class Transfer {
  readonly #context: TransferContext
  readonly #limit: SegmentLimit
  #remote: Remote | null
  /** Nobody has said yet that nothing is there. */
  #isGuess: boolean
  /** The answer to the last segment, until the server is asked whether it was the final one. */
  #final: Response | null = null
  /** What is there is known to be this file. */
  #isOurs = false
  /** A creation was sent whose answer may have been lost. */
  #hasTried = false
  /** One past the last byte that this client may have brought there. */
  #reach = 0
  /** The last position that the server told. */
  #received = 0

  constructor(context: TransferContext) {
    const { options, source } = context
    const usual = source.once || options.contentDigest === true ? 8 * 1024 * 1024 : Infinity
    this.#context = context
    this.#limit = new SegmentLimit(options.segmentSize ?? usual)
    this.#isGuess = source.size !== null && source.size <= SMALL
    this.#remote = this.#isGuess ? NOTHING : null
  }

  /** Whether the next step sends, and does not ask. */
  get knows(): boolean {
    return this.#remote !== null
  }

  /** Bytes of this file that the server is known to have. */
  get received(): number {
    return this.#received
  }

  /** One past the last byte that this client may have brought there. */
  get reach(): number {
    return this.#reach
  }

  /** Asks anew before the next segment: something has come between. */
  forget(): void {
    this.#remote = null
    this.#limit.answered()
  }

  /**
   * Asks, or sends a segment. Resolves with the final response when all is there, and else with null.
   *
   * @throws ClientError after which, if it is transient, another step may succeed.
   */
  async step(signal: AbortSignal): Promise<Response | null> {
    const remote = this.#remote
    if (remote === null) {
      await this.#look(signal)
      return null
    }
    if (remote.complete) return this.#final ?? remote.response
    // Whatever goes wrong from here on, the server must be asked before the next segment.
    this.#remote = null
    const segment = await abortable(this.#next(remote, signal), signal)
    const response = await this.#send(remote, segment, signal)
    return this.#accept(remote, segment, response)
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { connection, onPosition } = this.#context
    const { status, response } = await askStatus(connection, signal)
    const found = status === null ? NOTHING : { ...status, response, exists: true }
    this.#limit.look(found.size)
    this.#checkFinal(found)
    if (this.#recognises(found)) {
      this.#remote = found
      this.#reach = Math.max(this.#reach, found.size)
    } else {
      this.#remote = found.exists ? await this.#inspect(found, signal) : found
      this.#reach = this.#remote.size
    }
    this.#isOurs = this.#remote.exists
    this.#received = this.#remote.size
    onPosition(this.#received)
  }

  /** All bytes were taken, but with a status that did not say that they are all. */
  #checkFinal({ complete }: Remote): void {
    if (this.#final === null || complete) return
    this.#final = null
    throw new ClientError('ERR_RESPONSE', 'all bytes are sent, but the server waits for more', {
      transient: true,
    })
  }

  /** Whether what is there is what this client has left: nothing that it can't have brought. */
  #recognises({ size, length }: Remote): boolean {
    const { source } = this.#context
    const isInReach = size >= this.#received && size <= this.#reach
    const isFitting = length === null || source.size === null || length === source.size
    return this.#isOurs && isInReach && isFitting
  }

  /** Makes sure that what is there is the same file, or makes room for it. */
  async #inspect(found: Remote, signal: AbortSignal): Promise<Remote> {
    const { connection, source, options } = this.#context
    const likeness = await abortable(compare(connection, found, source, signal), signal)
    if (likeness === 'same' || (likeness === 'unknown' && this.#hasTried)) return found
    if (options.overwrite === true) {
      await removeResource(connection, found.etag, signal)
      return NOTHING
    }
    const there = `the URL holds ${found.size} bytes`
    if (likeness === 'different') {
      throw new ClientError('ERR_DIFFERENT', `${there} of a different file`)
    }
    throw new ClientError('ERR_UNVERIFIED', `${there} that the server does not let be compared`)
  }

  async #next(remote: Remote, signal: AbortSignal): Promise<Segment> {
    const { source, options, digests } = this.#context
    const start = remote.size
    const data = await source.slice(start, this.#end(start))
    const end = start + pieceSize(data)
    const isLast = end === source.size
    const message = encodeMessage({
      start,
      data,
      completeLength: source.size,
      contentType: remote.exists ? '' : (options.contentType ?? source.type),
      reprDigest: isLast ? await digests?.whole(source, end, signal) : '',
    })
    const headers = {
      'Content-Type': message.type,
      ...conditions(remote),
      ...(await digests?.fieldsFor(message.pieces)),
    }
    return { ...message, start, end, isLast, headers }
  }

  #end(start: number): number {
    const { source, options } = this.#context
    const end = start + this.#limit.size
    if (source.size === null || end < source.size) return end
    const hasDigest = options.reprDigest === true && !source.once
    const last = hasDigest ? source.size - LAST_SEGMENT : source.size
    return start < last ? last : source.size
  }

  async #send(remote: Remote, segment: Segment, signal: AbortSignal): Promise<Response> {
    const { connection, source, digests, onProgress } = this.#context
    const { start, end, headerSize, headers } = segment
    if (!remote.exists) this.#hasTried = true
    // What goes wrong here comes up when the last segment needs the digest.
    if (!segment.isLast) void digests?.follow(source, end, signal).catch(() => undefined)
    this.#limit.send(start)
    return exchange(connection, {
      method: 'PATCH',
      headers,
      body: segment.pieces,
      signal,
      onProgress: (sent) => {
        const reach = Math.min(end, start + Math.max(0, sent - headerSize))
        this.#limit.sent(reach - start)
        this.#reach = Math.max(this.#reach, reach)
        onProgress(reach)
      },
    })
  }

  async #accept(remote: Remote, segment: Segment, response: Response): Promise<Response | null> {
    const { start, end, isLast } = segment
    const isGuess = this.#isGuess
    this.#isGuess = false
    this.#limit.answered()
    if (response.status === 412 && isGuess) return null
    if (!response.ok) {
      const error = await responseError('PATCH', response, isConflict(remote, response))
      if (response.status !== 413) throw error
      if (this.#limit.refuse(end - start, segment.headerSize, error.problem)) return null
      throw error
    }
    this.#isOurs = true
    this.#received = end
    this.#reach = Math.max(this.#reach, end)
    this.#context.onProgress(end)
    if (!isLast) {
      const etag = strongTag(response)
      this.#remote = { ...remote, exists: true, size: end, etag, response }
      return null
    }
    // 202 and 299 do not tell that all is there, but an app may have chosen them to: ask.
    if (response.status !== 202 && response.status < 209) return response
    this.#final = response
    return null
  }
}

/** `If-None-Match: *` creates; `If-Match` goes on where nobody else has written meanwhile. */
function conditions({ exists, etag }: Remote): Readonly<Record<string, string>> {
  if (!exists) return { 'If-None-Match': '*' }
  return etag === null ? {} : { 'If-Match': etag }
}

/**
 * Whether asking anew can resolve what the server has against a segment: the resource was created or
 * has grown meanwhile (412), or it is gone (404).
 */
function isConflict(remote: Remote, response: Response): boolean {
  const { status } = response
  return isTransient(response) || status === 412 || (remote.exists && [404, 410].includes(status))
}
