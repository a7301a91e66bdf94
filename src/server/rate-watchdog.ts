/**
 * Ends the content of a client that is silent for too long or sends too slowly. Each such client would otherwise
 * hold a connection, a lock and memory for as long as it likes ("slow loris"), and Node's own `requestTimeout`
 * can't be used, because it limits the total time of an upload.
 */
import { UploadError } from '../errors.ts'

/** How long a client may be silent, and how slow. */
export interface RateLimits {
  /** Longest silence in milliseconds; 0: any. */
  readonly idleTimeout: number
  /** Least rate in bytes per second, on average over a minute; 0: any. */
  readonly minRate: number
}

/** The rate is an average over this time, in milliseconds, so that a pause of a mobile client is no failure. */
const RATE_TIME = 60_000

/**
 * Measures a client. Only the time in which the server waits for it counts: while the storage writes, the
 * socket is paused, and even a fast client can't send.
 */
export class RateWatchdog {
  readonly #limits: RateLimits
  readonly #onFailure: (reason: UploadError) => void
  #timer: NodeJS.Timeout | undefined
  #waitStart: number | null = null
  /** Milliseconds of waiting, and bytes that arrived, since the rate was last judged. */
  #time = 0
  #size = 0

  constructor(limits: RateLimits, onFailure: (reason: UploadError) => void) {
    this.#limits = limits
    this.#onFailure = onFailure
  }

  /** Starts to wait for the client. */
  startWait(): void {
    const { idleTimeout } = this.#limits
    this.#waitStart = performance.now()
    if (idleTimeout === 0) return
    this.#timer = setTimeout(() => this.#onFailure(idleError(idleTimeout)), idleTimeout).unref()
  }

  /** Ends the wait, in which `size` bytes arrived. Does nothing if there was no wait. */
  endWait(size: number): void {
    if (this.#waitStart === null) return
    clearTimeout(this.#timer)
    this.#time += performance.now() - this.#waitStart
    this.#waitStart = null
    this.#size += size
    if (this.#time >= RATE_TIME) this.#judge()
  }

  /** Compares the average rate with the limit, and begins a new average. */
  #judge(): void {
    const { minRate } = this.#limits
    const rate = (this.#size / this.#time) * 1000
    if (rate < minRate) this.#onFailure(slowError(rate, minRate))
    this.#time = 0
    this.#size = 0
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
