/** The clock of the client, which tests replace, and waits that end when a signal aborts. */

/** The time functions that the client uses. */
export interface Clock {
  /** The time in milliseconds since 1970. */
  now(): number
  /** Calls `callback` once after `delay` milliseconds. The returned function cancels the call. */
  after(delay: number, callback: () => void): () => void
}

/**
 * Longest delay of a timer in milliseconds. Platforms keep the delay in 32 bits, so that a timer
 * with a longer one, for example from a `Retry-After` of a month, would fire at once.
 */
const LONGEST_TIMER = 2 ** 31 - 1

/** The clock of the platform. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delay, callback) => {
    const timer = setTimeout(callback, Math.min(delay, LONGEST_TIMER))
    return () => clearTimeout(timer)
  },
}

/** The part of `EventTarget` that the client uses: signals and the global scope have it. */
export interface Target {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Calls `listener` at each event of a type. The returned function removes the listener. */
export function listen(target: Target, type: string, listener: () => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
}

/**
 * Waits until `begin` calls its argument `wake`, or until the signal aborts, and never rejects.
 * After that the function that `begin` has returned is called, to remove a timer or a listener.
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

/**
 * Resolves or rejects as `work` does. If the signal aborts before, rejects with its reason and
 * leaves `work` running, because a read of a file and an app's callback can't be aborted.
 */
export async function abortable<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  const result = Promise.resolve(work)
  await until(signal, (wake) => void result.then(wake, wake))
  signal.throwIfAborted()
  return result
}
