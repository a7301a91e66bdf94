/** The content of a Node request: in batches, with a bound on memory and on the client's silence. */
import type { IncomingMessage } from 'node:http'
import getRawBody from 'raw-body'
import { UploadError } from '../errors.ts'
import { ConnectionLostError, type Body } from '../protocol/http.ts'

/**
 * Bytes that may wait for the storage in all uploads together, give or take a chunk for each. Every
 * upload has an equal share within the bounds below; as many again are being written.
 */
const ALL_WAITING = 64 * 1024 * 1024
const LEAST_SHARE = 256 * 1024
/** Also the size of a large write: the fewer there are, the less the threads wait for each other. */
const LARGEST_SHARE = 4 * 1024 * 1024
/** About what a chunk costs beside its bytes. */
const CHUNK_COST = 256
/** More than a few chunks that are smaller on average are copied into one, which costs less. */
const SMALL_CHUNK = 1024
const FEW_CHUNKS = 16

/** Bodies that are being read. */
let readers = 0

function share(): number {
  return Math.min(LARGEST_SHARE, Math.max(LEAST_SHARE, ALL_WAITING / readers))
}

/**
 * Reads a request once. Nothing is read before the first step, so that a client that expects 100
 * Continue is not told to send what nobody wants. While one batch is written the next one gathers.
 */
export class IncomingBody implements Body {
  readonly #req: IncomingMessage
  readonly #pace: Pace
  #chunks: Uint8Array[] = []
  #size = 0
  #isEnded = false
  #failure: Error | null = null
  #wake = (): void => undefined
  #isWaking = false

  constructor(req: IncomingMessage, limits: PaceLimits) {
    this.#req = req
    this.#pace = new Pace(limits, (reason) => this.stop(reason))
  }

  /** Makes the pending and every later step throw `reason`, once what has arrived is given out. */
  stop(reason: Error): void {
    this.#failure ??= reason
    this.#wake()
  }

  /** Reads content of a known length whole. */
  async readAll(): Promise<Uint8Array> {
    const length = Number(this.#req.headers['content-length'] ?? 0)
    const parsed = parsedEarlier(this.#req)
    if (parsed !== null) return parsed
    if (this.#failure !== null) throw this.#failure
    if (this.#req.destroyed) return restOfClosed(this.#req)
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#wake = () => {
        if (this.#failure !== null) reject(this.#failure)
      }
    })
    const heard = (chunk: Uint8Array): void => {
      this.#pace.endTurn(chunk.byteLength)
      this.#pace.startTurn()
    }
    this.#req.on('data', heard)
    this.#pace.startTurn()
    try {
      return await Promise.race([getRawBody(this.#req, { length, limit: length }), stopped])
    } catch (error) {
      throw this.#failure ?? connectionLost(error)
    } finally {
      this.#pace.endTurn(0)
      this.#req.off('data', heard)
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
      this.#pace.endTurn(0)
      this.#req.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
      // A request that stays paused would hold up its connection for ever.
      if (this.#req.isPaused()) this.#req.resume()
    }
  }

  #listen(): void {
    const req = this.#req
    if (req.readableEnded) this.#isEnded = true
    else if (req.destroyed) this.#onClose()
    req.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
  }

  /** Waits for the client: only then does its silence count. */
  #arrival(): Promise<void> {
    this.#pace.startTurn()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#pace.endTurn(this.#size)
        resolve()
      }
    })
  }

  #take(): readonly Uint8Array[] {
    const chunks = this.#chunks
    const isScattered = chunks.length > FEW_CHUNKS && this.#size < chunks.length * SMALL_CHUNK
    this.#chunks = []
    this.#size = 0
    if (this.#req.isPaused()) this.#req.resume()
    return isScattered ? [Buffer.concat(chunks)] : chunks
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk)
    this.#size += chunk.byteLength
    if (this.#size + this.#chunks.length * CHUNK_COST >= share()) this.#req.pause()
    if (this.#isWaking) return
    this.#isWaking = true
    // Later: what the socket holds already comes in the same turn, and goes into the same write.
    setImmediate(this.#wakeNow)
  }

  readonly #wakeNow = (): void => {
    this.#isWaking = false
    this.#wake()
  }

  readonly #onEnd = (): void => {
    this.#isEnded = true
    this.#wake()
  }

  /** The stream of a closed connection emits nothing more, but still has what it never gave out. */
  readonly #onClose = (): void => {
    if (this.#isEnded) return
    this.#chunks.push(...readRest(this.#req))
    if (this.#req.complete) this.#onEnd()
    else this.stop(connectionLost(undefined))
  }
}

/** How long a client may be silent, and how slow. */
export interface PaceLimits {
  /** Longest silence in milliseconds; 0: any. */
  readonly idleTimeout: number
  /** Least rate in bytes per second, on average over a minute; 0: any. */
  readonly minRate: number
}

/** Over how many milliseconds of the client's turns the rate is an average. */
const RATE_TIME = 60_000

/** Tells when a client is too slow. Only its own turns count, not the time that the storage takes. */
class Pace {
  readonly #limits: PaceLimits
  readonly #onFailure: (reason: UploadError) => void
  #timer: NodeJS.Timeout | undefined
  #turnStart: number | null = null
  /** Milliseconds of the client's turns, and bytes that came, since the last look at the rate. */
  #time = 0
  #size = 0

  constructor(limits: PaceLimits, onFailure: (reason: UploadError) => void) {
    this.#limits = limits
    this.#onFailure = onFailure
  }

  /** It is the client's turn from now on. */
  startTurn(): void {
    const { idleTimeout } = this.#limits
    this.#turnStart = performance.now()
    if (idleTimeout === 0) return
    this.#timer = setTimeout(() => this.#onFailure(idleError(idleTimeout)), idleTimeout).unref()
  }

  /** The turn is over, with so many bytes. Does nothing between two turns. */
  endTurn(size: number): void {
    if (this.#turnStart === null) return
    clearTimeout(this.#timer)
    this.#time += performance.now() - this.#turnStart
    this.#turnStart = null
    this.#size += size
    if (this.#time >= RATE_TIME) this.#judge()
  }

  #judge(): void {
    const { minRate } = this.#limits
    const rate = (this.#size / this.#time) * 1000
    if (rate < minRate) this.#onFailure(slowError(rate, minRate))
    this.#time = 0
    this.#size = 0
  }
}

/**
 * The content as a body parser that ran earlier has left it; null if the stream is untouched.
 *
 * @throws Error when the bytes are gone.
 */
function parsedEarlier(req: IncomingMessage & { readonly body?: unknown }): Uint8Array | null {
  const isUntouched = !req.readableDidRead && req.readableEncoding === null
  if (isUntouched || req.headers['content-length'] === '0') return null
  if (req.body instanceof Uint8Array) return req.body
  throw new Error(
    'The request body was read before partialUpload() could read it: mount it before body parsers',
  )
}

/** Takes what a closed request holds; raw-body would wait for it for ever. */
function restOfClosed(req: IncomingMessage): Uint8Array {
  const chunks = readRest(req)
  if (!req.complete) throw connectionLost(undefined)
  return Buffer.concat(chunks)
}

function readRest(req: IncomingMessage): Uint8Array[] {
  const chunks: Uint8Array[] = []
  while (true) {
    const chunk: unknown = req.read()
    if (!(chunk instanceof Uint8Array)) return chunks
    chunks.push(chunk)
  }
}

function idleError(idleTimeout: number): UploadError {
  return new UploadError('ERR_IDLE', {
    detail: `nothing arrived for ${idleTimeout} ms`,
    headers: { Connection: 'close' },
  })
}

function slowError(rate: number, minRate: number): UploadError {
  return new UploadError('ERR_TOO_SLOW', {
    detail: `${Math.floor(rate)} bytes per second arrived; expected ${minRate} or more`,
    headers: { Connection: 'close' },
  })
}

function connectionLost(cause: unknown): ConnectionLostError {
  return new ConnectionLostError('the client closed the connection', { cause })
}
