/** Retries: exponential backoff with jitter, and the limit of failures in a row. */
import { listen, until } from './clock.ts'
import { ClientError } from './error.ts'
import type { Connection } from './exchange.ts'
import { scope } from './scope.ts'

/** Receives the event `online` in browsers. */
declare const self: EventTarget

/** Waits between retries, and counts failures in a row. */
export interface Retry {
  /** Resets the count of failures if the transfer has never been as far as `position`. */
  readonly reached: (position: number) => void
  /**
   * Waits until the next try is due, or the signal aborts. Throws `error` if it is not to be retried or
   * the retries are used up. `onWait` gets the wait in milliseconds, or null until the device is online.
   */
  readonly wait: (
    error: unknown,
    signal: AbortSignal,
    onWait?: (delay: number | null, error: ClientError) => void,
  ) => Promise<void>
}

/** Number of retries of a call while no server has ever answered. */
const FIRST_RETRIES = 3

/** The options that retries depend on. */
type RetryOptions = Pick<
  Connection,
  | 'retries'
  | 'minDelay'
  | 'maxDelay'
  | 'random'
  | 'waitForServer'
  | 'shouldRetry'
  | 'contact'
  | 'clock'
>

/** Creates the retries of one call. */
export function createRetry(call: RetryOptions): Retry {
  const { retries, clock } = call
  let failures = 0
  let best = 0

  return {
    reached: (position) => {
      if (position <= best) return
      best = position
      failures = 0
    },
    wait: async (error, signal, onWait) => {
      if (!(error instanceof ClientError)) throw error
      if (!(call.shouldRetry?.(error, failures) ?? error.transient)) throw error
      const hasTime = call.contact.isMade || call.waitForServer || isOffline()
      // An address that never answers has already cost `stallTimeout`.
      const patience = error.code === 'ERR_STALL' ? 0 : FIRST_RETRIES
      if (failures >= Math.min(retries, hasTime ? Infinity : patience)) throw error
      // Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
      const jitter = call.random() * Math.min(call.maxDelay, call.minDelay * 2 ** failures)
      failures += 1
      if (!isOffline()) {
        const delay = Math.max(jitter, retryAfter(error.headers, clock.now()))
        onWait?.(delay, error)
        await until(signal, (wake) => clock.after(delay, wake))
      }
      if (!isOffline()) return
      onWait?.(null, error)
      await until(signal, (wake) => listen(self, 'online', wake))
    },
  }
}

/** Only `false` is reliable. */
function isOffline(): boolean {
  return scope.navigator?.onLine === false
}

/** `Retry-After` (RFC 9110 §10.2.3) in milliseconds; 0 if there is none. */
function retryAfter(headers: Headers | null, now: number): number {
  const value = headers?.get('Retry-After') ?? ''
  return Number(value) * 1000 || Date.parse(value) - now || 0
}
