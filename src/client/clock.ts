/** Time as an argument, so that tests can replace it, and waits that a signal ends. */

/** The time functions that the client uses. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back once after `delay` milliseconds, unless the returned function was called before. */
  after(delay: number, callback: () => void): () => void
}

/** Longest delay of a platform's timer in milliseconds. A timer with a longer one fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** The clock of the platform. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delay, callback) => {
    const timer = setTimeout(callback, Math.min(delay, LONGEST_TIMER))
    return () => clearTimeout(timer)
  },
}

/** The part of `EventTarget` that the client uses. */
export interface Target {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Calls back at each event of a type, until the returned function is called. */
export function listen(target: Target, type: string, listener: () => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
}

/**
 * Waits until `begin` calls its argument, or the signal aborts. Then calls the function that `begin` has
 * returned, to release what the wait has held.
 */
export async function until(
  signal: AbortSignal,
  begin: (wake: () => void) => (() => void) | void,
): Promise<void> {
  if (signal.aborted) return
  const ends: ((() => void) | void)[] = []
  await new Promise<void>((resolve) => ends.push(listen(signal, 'abort', resolve), begin(resolve)))
  for (const end of ends) end?.()
}

/** Stops waiting for `work`, which can't be aborted itself, and rejects when the signal aborts. */
export async function abortable<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  const result = Promise.resolve(work)
  await until(signal, (wake) => void result.then(wake, wake))
  signal.throwIfAborted()
  return result
}
