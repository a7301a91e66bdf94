/** When to try again, and when to give up. */
import { until } from './clock.ts'
import { ClientError } from './error.ts'
import type { RequestSettings } from './options.ts'

declare const navigator: { readonly onLine?: boolean } | undefined
declare function addEventListener(type: 'online', listener: () => void): void
declare function removeEventListener(type: 'online', listener: () => void): void

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

/** Begins to count. */
export function createRetry(settings: RequestSettings): Retry {
  const { retries, minDelay, maxDelay, random, clock } = settings
  let failures = 0
  let best = 0

  function delayAfter(error: ClientError): number {
    if (!error.transient || failures >= retries) throw error
    const bound = Math.min(maxDelay, minDelay * 2 ** failures)
    failures += 1
    // Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    return Math.max(random() * bound, retryAfter(error.headers, clock.now()))
  }

  return {
    reached: (position) => {
      if (position <= best) return
      best = position
      failures = 0
    },
    wait: async (error, signal, onWait) => {
      if (!(error instanceof ClientError)) throw error
      const delay = delayAfter(error)
      if (!isOffline()) {
        onWait?.(delay, error)
        await until(signal, (wake) => clock.after(delay, wake))
      }
      if (!isOffline()) return
      onWait?.(null, error)
      await until(signal, (wake) => {
        addEventListener('online', wake)
        return () => removeEventListener('online', wake)
      })
    },
  }
}

/** Only a browser knows, and only its no is to be trusted. */
function isOffline(): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false
}

/** `Retry-After` (RFC 9110 §10.2.3) in milliseconds; 0 if there is none. */
function retryAfter(headers: Headers | null, now: number): number {
  const value = headers?.get('retry-after') ?? ''
  const delay = Number(value) * 1000 || Date.parse(value) - now
  return delay > 0 ? delay : 0
}
