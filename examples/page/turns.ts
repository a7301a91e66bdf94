/** Who may go when: a few uploads at a time, and one of each name in all tabs of a browser. */

/** So many at a time; the others wait in line. */
export class Turns {
  #free: number
  readonly #line: (() => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  /** Does `work` when its turn has come. Rejects with the signal's reason if that aborts before. */
  async run(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    await this.#take(signal)
    try {
      await work()
    } finally {
      this.#pass()
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const hasTurn = await new Promise<boolean>((resolve) => {
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

  #pass(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}

/**
 * Does `work` while no other tab of this browser does work of this name; `onWait` is told if it has to
 * wait. The lock of a tab that is closed is free at once.
 */
export async function exclusively(
  name: string,
  signal: AbortSignal,
  onWait: () => void,
  work: () => Promise<void>,
): Promise<void> {
  // Only pages from a safe origin have locks. For the others the server sorts it out.
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
