/**
 * Waits between retries: exponential backoff with full jitter, and a limit of failures in a row.
 */
import { listen, until } from './clock.ts'
import { ClientError } from './error.ts'
import type { Connection } from './exchange.ts'
import { scope } from './scope.ts'

/** The global scope of a page or a worker, which dispatches the event `online`. */
declare const self: EventTarget

/** The retries of one call. */
export interface Retry {
  /**
   * Records that the server has stored the bytes up to `position`. If that is more than ever
   * before, the count of failures starts again from 0. A transfer that repeats the same bytes does
   * not reset it, because it would otherwise repeat them for ever.
   */
  readonly reached: (position: number) => void
  /**
   * Waits until the next attempt is due, or until the signal aborts. Calls `onWait` with the delay
   * in milliseconds, or with null if it waits for the device to be online.
   *
   * @throws `error` itself if it must not be retried, or if the retries are used up.
   */
  readonly wait: (
    error: unknown,
    signal: AbortSignal,
    onWait?: (delay: number | null, error: ClientError) => void,
  ) => Promise<void>
}

/**
 * Number of retries before the first contact with the server. If nothing has ever answered at an
 * address, it is likely to be wrong, and a person should see the error within seconds.
 */
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
      // Without a network no server can answer, so the failure says nothing about the address.
      const hasTime = call.contact.isMade || call.waitForServer || isOffline()
      // After a stall the caller has already waited for `stallTimeout`, which is long enough to
      // give up.
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

/**
 * Whether the device is known to be offline. `navigator.onLine` is reliable only when `false`: it
 * is true in any local network, even one without a route to the server.
 */
function isOffline(): boolean {
  return scope.navigator?.onLine === false
}

/**
 * Returns `Retry-After` (RFC 9110 §10.2.3) in milliseconds. Its value is a number of seconds or a
 * date. 0 if the answer does not have the field, negative for a date in the past. The caller uses
 * the longer of this and the jitter.
 */
function retryAfter(headers: Headers | null, now: number): number {
  const value = headers?.get('Retry-After') ?? ''
  return Number(value) * 1000 || Date.parse(value) - now || 0
}
