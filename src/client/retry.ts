/** When to try again, and when to give up. */
import { listen, until } from './clock.ts'
import { ClientError } from './error.ts'
import type { Connection } from './exchange.ts'

declare const navigator: { readonly onLine?: boolean } | undefined
/** What a browser tells that it is online again. */
declare const self: EventTarget

/** Waits between tries, and counts failures in a row. */
export interface Retry {
  /** Counts from the beginning if there has never been so much. */
  readonly reached: (position: number) => void
  /**
   * Waits until it is time to try again, or the signal aborts. Throws `error` where waiting does not
   * help. `onWait` is told the wait in milliseconds, null for one until the device is online.
   */
  readonly wait: (
    error: unknown,
    signal: AbortSignal,
    onWait?: (delay: number | null, error: ClientError) => void,
  ) => Promise<void>
}

/** Retries of a call that nothing has answered yet. */
const FIRST_RETRIES = 3

/** What counts of the options of a call. */
type RetryOptions = Pick<
  Connection,
  'retries' | 'minDelay' | 'maxDelay' | 'random' | 'waitForServer' | 'contact' | 'clock'
>

/** Begins to count. */
export function createRetry(options: RetryOptions): Retry {
  const { retries, minDelay, maxDelay, random, waitForServer, contact, clock } = options
  let failures = 0
  let best = 0

  return {
    reached: (position) => {
      if (position <= best) return
      best = position
      failures = 0
    },
    wait: async (error, signal, onWait) => {
      if (!(error instanceof ClientError && error.transient)) throw error
      const isFirst = !contact.isMade && !waitForServer && !isOffline()
      // An address that swallows requests has taken `stallTimeout` already.
      const patience = error.code === 'ERR_STALL' ? 0 : FIRST_RETRIES
      if (failures >= (isFirst ? Math.min(patience, retries) : retries)) throw error
      // Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
      const jitter = random() * Math.min(maxDelay, minDelay * 2 ** failures)
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

/** Only a browser knows, and only its no is to be trusted. */
function isOffline(): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false
}

/** `Retry-After` (RFC 9110 §10.2.3) in milliseconds; 0 if there is none. */
function retryAfter(headers: Headers | null, now: number): number {
  const value = headers?.get('Retry-After') ?? ''
  return Number(value) * 1000 || Date.parse(value) - now || 0
}
