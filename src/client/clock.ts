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

/** As much of an `EventTarget` as is used. */
export interface Target {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Calls back at each event of a type; the returned function calls it off. */
export function listen(target: Target, type: string, listener: () => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
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
  await new Promise<void>((resolve) => {
    const release = listen(signal, 'abort', wake)
    let end = release
    function wake(): void {
      release()
      end()
      resolve()
    }
    end = begin(wake) ?? end
  })
}

/** Stops waiting for `work`, which can't be aborted itself, and rejects when the signal aborts. */
export async function abortable<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  const result = Promise.resolve(work)
  await until(signal, (wake) => void result.then(wake, wake))
  signal.throwIfAborted()
  return result
}
