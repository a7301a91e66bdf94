/** The content of a Node request: in batches, with a bound on memory and on the client's silence. */
import type { IncomingMessage } from 'node:http'
import getRawBody from 'raw-body'
import { UploadError } from './errors.ts'
import { ConnectionLostError, type Body } from './http.ts'

/**
 * Bytes that may wait for the storage in all uploads together, give or take a chunk for each. Every
 * upload has an equal share within the bounds below; as many again are being written.
 */
const ALL_WAITING = 64 * 1024 * 1024
const LEAST_SHARE = 256 * 1024
/** Also the size of a large write: the fewer there are, the less the threads wait for each other. */
const LARGEST_SHARE = 4 * 1024 * 1024

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
  readonly #silence: SilenceTimer
  #chunks: Uint8Array[] = []
  #size = 0
  #isEnded = false
  #failure: Error | null = null
  #wake = (): void => undefined
  #isWaking = false

  constructor(req: IncomingMessage, idleTimeout: number) {
    this.#req = req
    this.#silence = new SilenceTimer(idleTimeout, () => this.stop(idleError(idleTimeout)))
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
    if (this.#req.destroyed) return restOfClosed(this.#req)
    const stopped = new Promise<never>((_resolve, reject) => {
      this.#wake = () => {
        if (this.#failure !== null) reject(this.#failure)
      }
    })
    const heard = (): void => this.#silence.start()
    this.#req.on('data', heard)
    this.#silence.start()
    try {
      return await Promise.race([getRawBody(this.#req, { length, limit: length }), stopped])
    } catch (error) {
      throw error === this.#failure ? error : connectionLost(error)
    } finally {
      this.#silence.stop()
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
      this.#silence.stop()
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
    this.#silence.start()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#silence.stop()
        resolve()
      }
    })
  }

  #take(): readonly Uint8Array[] {
    const chunks = this.#chunks
    this.#chunks = []
    this.#size = 0
    if (this.#req.isPaused()) this.#req.resume()
    return chunks
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk)
    this.#size += chunk.byteLength
    if (this.#size >= share()) this.#req.pause()
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

/** Calls back after so many milliseconds without a restart; 0: never. */
class SilenceTimer {
  readonly #milliseconds: number
  readonly #expire: () => void
  #timer: NodeJS.Timeout | null = null

  constructor(milliseconds: number, expire: () => void) {
    this.#milliseconds = milliseconds
    this.#expire = expire
  }

  /** Starts, or starts over. */
  start(): void {
    if (this.#milliseconds === 0) return
    if (this.#timer === null) this.#timer = setTimeout(this.#expire, this.#milliseconds).unref()
    else this.#timer.refresh()
  }

  /** Stops until the next start. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
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

function connectionLost(cause: unknown): ConnectionLostError {
  return new ConnectionLostError('the client closed the connection', { cause })
}
