/** Tries work for one key after the other, in the background, again and again until it has succeeded. */

/** Milliseconds until the first retry, and between two retries at most; the time doubles with each failure. */
const FIRST_BACKOFF = 1000
const LONGEST_BACKOFF = 600_000
/** Keys that wait at most. Beyond it, the next start of a process finds the others by their notes. */
const MOST_WAITING = 100_000

interface Waiting {
  readonly at: number
  /** Attempts that have failed one after the other. */
  readonly failures: number
}

/** The keys whose work has not succeeded yet. */
export class Retries {
  readonly #attempt: (key: string) => Promise<boolean>
  readonly #waiting = new Map<string, Waiting>()
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null
  #isStopped = false

  /** `attempt` resolves to whether it has succeeded. */
  constructor(attempt: (key: string) => Promise<boolean>) {
    this.#attempt = attempt
  }

  /** Adds a key whose work has just failed. A key that waits already is tried at the time it had. */
  add(key: string): void {
    if (this.#waiting.has(key)) return
    this.#set(key, FIRST_BACKOFF, 1)
    this.#plan()
  }

  /** Adds keys whose work is due. */
  async addAll(keys: AsyncIterable<string>): Promise<void> {
    for await (const key of keys) this.#set(key, 0, 0)
    this.#plan()
  }

  /** Stops. Resolves when the attempt in progress has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
  }

  #set(key: string, delay: number, failures: number): void {
    if (this.#waiting.size >= MOST_WAITING) return
    this.#waiting.set(key, { at: performance.now() + delay, failures })
  }

  /** Sets the timer for the next attempt. */
  #plan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#isStopped || this.#running !== null || this.#waiting.size === 0) return
    let first = Infinity
    for (const { at } of this.#waiting.values()) first = Math.min(first, at)
    const delay = Math.max(0, first - performance.now())
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => {
        this.#running = null
        this.#plan()
      })
    }, delay).unref()
  }

  /** Tries all keys that are due, one at a time, because the app may be starting. */
  async #run(): Promise<void> {
    const now = performance.now()
    for (const [key, { at, failures }] of [...this.#waiting]) {
      if (at > now || this.#isStopped) continue
      this.#waiting.delete(key)
      const isDone = await this.#attempt(key).catch(() => false)
      if (isDone) continue
      this.#set(key, Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** failures), failures + 1)
    }
  }
}
