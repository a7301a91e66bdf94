/**
 * Reads the content of a Node request in batches, with limits on memory and on the silence of the
 * client.
 *
 * `for await (… of req)` does not suffice: it yields one chunk of at most 64 KiB per step, destroys
 * the stream when the loop is left early, and has no time limit.
 */
import type { Readable } from 'node:stream'
import getRawBody from 'raw-body'
import type { Body } from '../protocol/http.ts'
import { checkEnd, parsedEarlier, readError, readRest, restOfCut } from './body-end.ts'
import { RateWatchdog, type RateLimits } from './rate-watchdog.ts'
import { announcedLength, isCut, type HttpRequest } from './transport.ts'

/**
 * Largest number of bytes of all uploads together that wait for the storage. Each upload has an
 * equal share of it within the bounds below, and may exceed its share by one chunk. The same number
 * again may be being written.
 */
const ALL_WAITING = 64 * 1024 * 1024
/**
 * Smallest share of one upload, in bytes. With more than 256 uploads the sum may exceed
 * `ALL_WAITING`.
 */
const LEAST_SHARE = 256 * 1024
/**
 * Largest share of one upload, and so the size of a large write. Large writes are few, which
 * reduces the contention between the threads of libuv.
 */
const LARGEST_SHARE = 4 * 1024 * 1024
/**
 * Memory that a chunk takes besides its bytes, roughly. It counts, because a client may send chunks
 * of one byte.
 */
const CHUNK_COST = 256
/**
 * A batch of more than `FEW_CHUNKS` chunks whose average size is below `SMALL_CHUNK` is copied into
 * one chunk, because each chunk has a fixed cost in the parser, the hash and the write.
 */
const SMALL_CHUNK = 1024
const FEW_CHUNKS = 16

const NOTHING = (): void => undefined

/** Number of bodies of this process that are being read. They share `ALL_WAITING`. */
let readers = 0

/** Returns the number of bytes that one body may gather before it pauses its socket. */
function share(): number {
  return Math.min(LARGEST_SHARE, Math.max(LEAST_SHARE, ALL_WAITING / readers))
}

/**
 * Reads the content of a request once, either step by step or with `readAll`. Reading begins with
 * the first step, because a read makes the server send 100 Continue, and content that is refused
 * should not be sent at all. While the storage writes one batch, the next one is gathered, so that
 * network and disk work at the same time.
 */
export class IncomingBody implements Body {
  readonly #req: HttpRequest
  readonly #watchdog: RateWatchdog
  /** The chunks of the next batch, and their size in bytes. */
  #chunks: Uint8Array[] = []
  #size = 0
  /** Number of bytes of the content that have arrived so far. */
  #received = 0
  #isEnded = false
  /** Why the content ended early; null if it has not. Thrown after the chunks that have arrived. */
  #failure: Error | null = null
  /** Ends the wait of the pending step. */
  #wake = NOTHING
  #beginWait = NOTHING
  #endWait = NOTHING
  /** Whether a call of `#wake` is scheduled. */
  #isWaking = false

  constructor(req: HttpRequest, limits: RateLimits) {
    this.#req = req
    this.#watchdog = new RateWatchdog(limits, (reason) => this.stop(reason))
  }

  /**
   * Sets the functions that are called when a step begins to wait for the client, and when that
   * wait ends.
   */
  onWait(begin: () => void, end: () => void): void {
    this.#beginWait = begin
    this.#endWait = end
  }

  /**
   * Ends the content. The chunks that have arrived are still returned, because storing them saves
   * the client from sending them again. After them, the pending step or the next one throws
   * `reason`.
   */
  stop(reason: Error): void {
    this.#failure ??= reason
    this.#wake()
  }

  /**
   * Reads content whose length was announced to its end. It holds all of it in memory, so it is for
   * small content.
   *
   * @throws ConnectionLostError if the client disconnects, the reason of `stop`, or UploadError
   * `ERR_LENGTH`.
   */
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
      // A request that stayed paused would block its connection for ever.
      resumeIfPaused(this.#req)
    }
  }

  /**
   * Adds the listeners. A stream that has ended or was closed before emits no event, so its state
   * is read.
   */
  #listen(): void {
    const req = this.#req
    if (req.readableEnded) this.#onEnd()
    else if (req.destroyed) this.#onClose()
    req.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
    // A middleware of the app may have paused the request, for example while it looked up the user.
    resumeIfPaused(req)
  }

  /**
   * Waits until the client has sent something, or the content has ended. Only this time counts as
   * its silence.
   */
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

  /** Returns the gathered chunks, and resumes the socket if it was paused. */
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
    // Wait for the end of the poll phase, in which Node reads all that the socket has, so that one
    // write gets it.
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

  /**
   * Takes the chunks that the stream of a closed connection still holds, because it emits no `data`
   * any more.
   */
  readonly #onClose = (): void => {
    if (this.#isEnded || this.#failure !== null) return
    for (const chunk of readRest(this.#req)) this.#gather(chunk)
    this.#onEnd()
  }
}

/**
 * Resumes a stream that was paused. One that was never read stays untouched, because its bytes
 * would be lost.
 */
function resumeIfPaused(req: HttpRequest): void {
  if (req.isPaused()) req.resume()
}
