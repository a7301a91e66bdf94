/** When to try again, and when to give up. */
import { sleep, untilCalled } from './clock.ts'
import { ClientError } from './error.ts'
import type { RequestSettings } from './options.ts'

declare const navigator: { readonly onLine?: boolean } | undefined
declare function addEventListener(type: 'online', listener: () => void): void
declare function removeEventListener(type: 'online', listener: () => void): void

/** Counts failures in a row. */
export class Retry {
  readonly #settings: RequestSettings
  #failures = 0
  #doublings = 0

  constructor(settings: RequestSettings) {
    this.#settings = settings
  }

  /**
   * Tells that the resource has grown. Where it was not this client that made it grow, another one is
   * at work: no reason to give up, but none to come back at once either.
   */
  progressed(by: 'us' | 'others'): void {
    this.#failures = 0
    if (by === 'us') this.#doublings = 0
  }

  /** How long to wait after `error`, in milliseconds. Throws it where waiting does not help. */
  next(error: unknown): number {
    const { retries, minDelay, maxDelay, random, clock } = this.#settings
    this.#failures += 1
    if (!(error instanceof ClientError) || !error.transient || this.#failures > retries) throw error
    const bound = Math.min(maxDelay, minDelay * 2 ** this.#doublings)
    this.#doublings += 1
    // Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    return Math.max(random() * bound, retryAfter(error.headers, clock.now()))
  }
}

/**
 * Waits, and then until the device is online. `onWait` is told the wait first, null for a wait until
 * then.
 */
export async function pause(
  delay: number,
  { clock }: RequestSettings,
  signal: AbortSignal,
  onWait: (delay: number | null) => void = () => undefined,
): Promise<void> {
  if (!isOffline()) {
    onWait(delay)
    await sleep(clock, delay, signal)
  }
  if (!isOffline()) return
  onWait(null)
  await untilCalled(signal, (wake) => {
    addEventListener('online', wake)
    return () => removeEventListener('online', wake)
  })
}

/** Only a browser knows, and only its no is to be trusted. */
function isOffline(): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false
}

/** `Retry-After` (RFC 9110 §10.2.3) in milliseconds; 0 if there is none. */
function retryAfter(headers: Headers | null, now: number): number {
  const value = headers?.get('retry-after')?.trim() ?? ''
  const delay = /^[0-9]+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return delay > 0 ? delay : 0
}
