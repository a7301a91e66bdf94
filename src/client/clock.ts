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

/** Waits `delay` milliseconds. Rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return untilCalled(signal, (wake) => clock.after(delay, wake))
}

/**
 * Waits until the function that `begin` gets is called, then calls what `begin` returned. Rejects
 * with the signal's reason when it aborts first.
 */
export async function untilCalled(
  signal: AbortSignal,
  begin: (wake: () => void) => () => void,
): Promise<void> {
  signal.throwIfAborted()
  let end = (): void => undefined
  let abort = (): void => undefined
  await new Promise<void>((resolve) => {
    abort = resolve
    signal.addEventListener('abort', abort)
    end = begin(resolve)
  })
  signal.removeEventListener('abort', abort)
  end()
  signal.throwIfAborted()
}

/** Stops to wait for work that knows no signal. Rejects with the signal's reason when it aborts first. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  await untilCalled(signal, (wake) => {
    work.then(wake, wake)
    return () => undefined
  })
  return work
}
