/**
 * Detects a client that is silent for too long or sends too slowly. Such a client would otherwise
 * hold a connection, a lock and memory without limit (the attack "slow loris"). Node's own
 * `requestTimeout` does not help, because it limits the total time of a request, and a large upload
 * may take hours.
 */
import { UploadError } from '../errors.ts'

/** The longest silence and the least rate of a client. */
export interface RateLimits {
  /** Longest silence in milliseconds; 0 means no limit. Beyond it: 408 `ERR_IDLE`. */
  readonly idleTimeout: number
  /**
   * Least rate in bytes per second, averaged over a minute; 0 means no limit. Below it: 408
   * `ERR_TOO_SLOW`.
   */
  readonly minRate: number
}

/**
 * Time over which the rate is averaged, in milliseconds. A minute lets a mobile client pause in a
 * tunnel.
 */
const RATE_TIME = 60_000

/**
 * Measures one client. Only the time in which the server waits for the client counts. While the
 * storage writes, the socket is paused, so that even a fast client can't send, and its rate would
 * look too low.
 */
export class RateWatchdog {
  readonly #limits: RateLimits
  readonly #onFailure: (reason: UploadError) => void
  /** Fires `idleTimeout` after the current wait began. */
  #timer: NodeJS.Timeout | undefined
  /** When the current wait began; null between waits. */
  #waitStart: number | null = null
  /** Milliseconds of waiting since the rate was last compared with the limit. */
  #time = 0
  /** Bytes that arrived in these waits. */
  #size = 0

  /** @param onFailure Called with the error to answer when the client breaks a limit. */
  constructor(limits: RateLimits, onFailure: (reason: UploadError) => void) {
    this.#limits = limits
    this.#onFailure = onFailure
  }

  /** Starts a wait for the client. `endWait` must follow before the next one. */
  startWait(): void {
    const { idleTimeout } = this.#limits
    this.#waitStart = performance.now()
    if (idleTimeout === 0) return
    this.#timer = setTimeout(() => this.#onFailure(idleError(idleTimeout)), idleTimeout).unref()
  }

  /** Ends the wait, in which `size` bytes arrived. Does nothing between waits. */
  endWait(size: number): void {
    if (this.#waitStart === null) return
    clearTimeout(this.#timer)
    this.#time += performance.now() - this.#waitStart
    this.#waitStart = null
    this.#size += size
    if (this.#time >= RATE_TIME) this.#judge()
  }

  /**
   * Compares the average with the limit, and starts a new one, so that an early burst does not
   * excuse a slow rest.
   */
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
