/** Time as an argument: waits that can be ended, and a clock that a test can hold. */

/** What a client needs to know of time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back once after `delay` milliseconds; the returned function calls it off. */
  after(delay: number, callback: () => void): () => void
}

/** Beyond this a timer of the platform fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** The clock of the platform. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delay, callback) => {
    const timer = setTimeout(callback, Math.min(delay, LONGEST_TIMER))
    return () => clearTimeout(timer)
  },
}

/**
 * Waits until `begin` calls what it is given, or the signal aborts. What `begin` returned is called
 * after that.
 */
export async function until(
  signal: AbortSignal,
  begin: (wake: () => void) => (() => void) | void,
): Promise<void> {
  if (signal.aborted) return
  let wake!: () => void
  let end!: (() => void) | void
  await new Promise<void>((resolve) => {
    wake = resolve
    signal.addEventListener('abort', wake)
    end = begin(wake)
  })
  signal.removeEventListener('abort', wake)
  end?.()
}

/** Stops to wait for work that knows no signal. Rejects with the signal's reason when it aborts first. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  await until(signal, (wake) => void work.then(wake, wake))
  signal.throwIfAborted()
  return work
}
