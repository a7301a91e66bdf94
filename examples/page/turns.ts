/**
 * Limits what runs at the same time: a few uploads per tab, and one per name in all tabs of the
 * browser.
 */

/** Lets at most `size` works run at the same time. The others wait in a queue. */
export class Turns {
  #free: number
  readonly #line: (() => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  /**
   * Queues `work`, and runs it when there is room. Rejects with the reason of the signal if it aborts
   * before.
   */
  async run(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    await this.#take(signal)
    try {
      await work()
    } finally {
      this.#pass()
    }
  }

  /** Waits for a turn. */
  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const hasTurn = await new Promise<boolean>((resolve) => {
      // An aborted work must leave the queue, because a turn that it gets would be lost.
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(go), 1)
        resolve(false)
      }
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve(true)
      }
      this.#line.push(go)
      signal.addEventListener('abort', leave, { once: true })
    })
    if (!hasTurn) signal.throwIfAborted()
  }

  /** Gives the turn to the first in the queue, or keeps it for the next one that comes. */
  #pass(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}

/**
 * Runs `work` while no other tab of this browser runs work of the same name (Web Locks API). If it has
 * to wait for another tab, it calls `onWait` first. The browser releases the lock of a tab that is
 * closed.
 */
export async function exclusively(
  name: string,
  signal: AbortSignal,
  onWait: () => void,
  work: () => Promise<void>,
): Promise<void> {
  // The API exists only in secure contexts (HTTPS or localhost). In other pages two tabs may send the
  // same file. The server then accepts one of them at a time, so that only bytes are wasted.
  if (!isSecureContext) return work()
  const { locks } = navigator
  const isDone = await locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock === null) return false
    await work()
    return true
  })
  if (isDone) return
  onWait()
  await locks.request(name, { signal }, work)
}
