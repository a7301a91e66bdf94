/**
 * The content of a Node request: in batches, with a bound on memory and on the client's silence.
 *
 * `for await (… of req)` would do for a small server, but gives one chunk of at most 64 KiB per step, destroys
 * the stream when it is left early, and knows no time limit.
 */
import type { Readable } from 'node:stream'
import getRawBody from 'raw-body'
import { UploadError } from '../errors.ts'
import { ConnectionLostError, type Body } from '../protocol/http.ts'
import { RateWatchdog, type RateLimits } from './rate-watchdog.ts'
import { announcedLength, hasEnded, isCut, type HttpRequest } from './transport.ts'

/**
 * Bytes that may wait for the storage in all uploads together, give or take a chunk for each. Every
 * upload has an equal share within the bounds below; as many again are being written.
 */
const ALL_WAITING = 64 * 1024 * 1024
const LEAST_SHARE = 256 * 1024
/** Also the size of a large write: fewer writes mean less contention between the threads of libuv. */
const LARGEST_SHARE = 4 * 1024 * 1024
/** About what a chunk costs beside its bytes. */
const CHUNK_COST = 256
/** More than a few chunks that are smaller on average are copied into one, which costs less. */
const SMALL_CHUNK = 1024
const FEW_CHUNKS = 16

const NOTHING = (): void => undefined

/** Bodies that are being read in this process, which share `ALL_WAITING`. */
let readers = 0

/** Bytes that one body may gather before it pauses its socket. */
function share(): number {
  return Math.min(LARGEST_SHARE, Math.max(LEAST_SHARE, ALL_WAITING / readers))
}

/**
 * Reads the content of a request once, by steps or with `readAll`. Nothing is read before the first step, so
 * that a client that expects 100 Continue does not send content that is refused. While the storage writes one
 * batch, the next one is gathered, so that the network and the disk work at the same time.
 */
export class IncomingBody implements Body {
  readonly #req: HttpRequest
  readonly #watchdog: RateWatchdog
  #chunks: Uint8Array[] = []
  #size = 0
  /** Bytes that have arrived in all. */
  #received = 0
  #isEnded = false
  #failure: Error | null = null
  #wake = NOTHING
  #beginWait = NOTHING
  #endWait = NOTHING
  /** A wake-up is scheduled. */
  #isWaking = false

  constructor(req: HttpRequest, limits: RateLimits) {
    this.#req = req
    this.#watchdog = new RateWatchdog(limits, (reason) => this.stop(reason))
  }

  /** Sets what is called when a step begins to wait for the client, and when that wait ends. */
  onWait(begin: () => void, end: () => void): void {
    this.#beginWait = begin
    this.#endWait = end
  }

  /**
   * Ends the content: the pending step and every later one throw `reason`, after the chunks that have arrived
   * were returned. A client may already count those bytes as sent, and need not send them again.
   */
  stop(reason: Error): void {
    this.#failure ??= reason
    this.#wake()
  }

  /** Reads content of a known length whole, for content that is small and of use only whole. */
  async readAll(): Promise<Uint8Array> {
    const req = this.#req
    const content: Readable = req
    const length = announcedLength(req) ?? 0
    const parsed = parsedEarlier(req)
    if (parsed !== null) return parsed
    if (this.#failure !== null) throw this.#failure
    if (isCut(req)) return restOfCut(req)
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#wake = () => {
        if (this.#failure !== null) reject(this.#failure)
      }
    })
    const heard = (chunk: Uint8Array): void => {
      this.#watchdog.endWait(chunk.byteLength)
      this.#watchdog.startWait()
    }
    req.on('data', heard)
    this.#watchdog.startWait()
    try {
      const whole = getRawBody(content, { length, limit: length })
      resumeIfPaused(req)
      return await Promise.race([whole, stopped])
    } catch (error) {
      throw this.#failure ?? readError(error, length)
    } finally {
      this.#watchdog.endWait(0)
      req.off('data', heard)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Uint8Array[], void, undefined> {
    const parsed = parsedEarlier(this.#req)
    if (parsed !== null) {
      yield [parsed]
      return
    }
    this.#listen()
    readers += 1
    try {
      while (true) {
        if (this.#chunks.length === 0 && !this.#isEnded && this.#failure === null) {
          await this.#arrival()
        }
        if (this.#chunks.length > 0) yield this.#take()
        else if (this.#failure !== null) throw this.#failure
        else if (this.#isEnded) return
      }
    } finally {
      readers -= 1
      this.#watchdog.endWait(0)
      this.#req.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
      // A request that stays paused would hold up its connection for ever.
      resumeIfPaused(this.#req)
    }
  }

  #listen(): void {
    const req = this.#req
    if (req.readableEnded) this.#onEnd()
    else if (req.destroyed) this.#onClose()
    req.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
    // An earlier middleware may have paused it, to do something slow before the content comes.
    resumeIfPaused(req)
  }

  /** Waits for the client: only then does its silence count. */
  #arrival(): Promise<void> {
    this.#watchdog.startWait()
    this.#beginWait()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = NOTHING
        this.#watchdog.endWait(this.#size)
        this.#endWait()
        resolve()
      }
    })
  }

  /** Returns the gathered chunks, and lets the client send more. */
  #take(): readonly Uint8Array[] {
    const chunks = this.#chunks
    const isScattered = chunks.length > FEW_CHUNKS && this.#size < chunks.length * SMALL_CHUNK
    this.#chunks = []
    this.#size = 0
    resumeIfPaused(this.#req)
    return isScattered ? [Buffer.concat(chunks)] : chunks
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#gather(chunk)
    if (this.#size + this.#chunks.length * CHUNK_COST >= share()) this.#req.pause()
    if (this.#isWaking) return
    this.#isWaking = true
    // After the poll phase, in which Node reads what the socket holds: all of it goes into one write.
    setImmediate(this.#wakeNow)
  }

  readonly #wakeNow = (): void => {
    this.#isWaking = false
    this.#wake()
  }

  #gather(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#size += chunk.byteLength
    this.#received += chunk.byteLength
  }

  readonly #onEnd = (): void => {
    if (this.#isEnded || this.#failure !== null) return
    const failure = checkEnd(this.#req, this.#received)
    if (failure !== null) return this.stop(failure)
    this.#isEnded = true
    this.#wake()
  }

  /** The stream of a closed connection emits nothing more, but still holds what was never read. */
  readonly #onClose = (): void => {
    if (this.#isEnded || this.#failure !== null) return
    for (const chunk of readRest(this.#req)) this.#gather(chunk)
    this.#onEnd()
  }
}

/** Why content that has stopped is not whole; null if it is. */
function checkEnd(req: HttpRequest, received: number): Error | null {
  if (!hasEnded(req)) return connectionLost(undefined)
  const announced = announcedLength(req)
  return announced === null || announced === received ? null : wrongLength(received, announced)
}

/**
 * The content as a body parser that ran earlier has left it; null if the stream is untouched.
 *
 * @throws Error when the bytes are gone.
 */
function parsedEarlier(req: HttpRequest & { readonly body?: unknown }): Uint8Array | null {
  const isUntouched = !req.readableDidRead && req.readableEncoding === null
  const announced = announcedLength(req)
  // An adapter may give the content in `body`, beside a stream that can't be read.
  const isGiven = !req.readable && req.body instanceof Uint8Array
  if ((isUntouched && !isGiven) || announced === 0) return null
  if (!(req.body instanceof Uint8Array)) {
    throw new Error(
      'The request body was read before partialUpload() could read it: mount it before body parsers',
    )
  }
  const { byteLength } = req.body
  if (announced !== null && announced !== byteLength) throw wrongLength(byteLength, announced)
  return req.body
}

/** The content of a request that is closed already; raw-body would wait for it for ever. */
function restOfCut(req: HttpRequest): Uint8Array {
  const content = Buffer.concat(readRest(req))
  const failure = checkEnd(req, content.byteLength)
  if (failure !== null) throw failure
  return content
}

/** The chunks that a closed stream still holds. Only `read` returns them: it emits no `data` any more. */
function readRest(req: HttpRequest): Uint8Array[] {
  const chunks: Uint8Array[] = []
  while (true) {
    const chunk: unknown = req.read()
    if (!(chunk instanceof Uint8Array)) return chunks
    chunks.push(chunk)
  }
}

/** Resumes a stream that flows. One that was never read stays untouched, so that nothing is lost. */
function resumeIfPaused(req: HttpRequest): void {
  if (req.isPaused()) req.resume()
}

/** The errors of raw-body that are about a number of bytes, by their `type`. */
const LENGTH_ERRORS: readonly unknown[] = ['request.size.invalid', 'entity.too.large']

/** What an error of raw-body says about the request. */
function readError(error: unknown, announced: number): Error {
  const hasLength = error instanceof Error && 'type' in error && 'received' in error
  if (!hasLength || !LENGTH_ERRORS.includes(error.type)) return connectionLost(error)
  return wrongLength(Number(error.received), announced)
}

/** Happens only with an adapter that recodes the content: Node's parsers enforce Content-Length. */
function wrongLength(received: number, announced: number): UploadError {
  return new UploadError('ERR_LENGTH', {
    detail: `${received} bytes of content arrived; Content-Length announced ${announced}`,
  })
}

function connectionLost(cause: unknown): ConnectionLostError {
  return new ConnectionLostError('the client closed the connection', { cause })
}
