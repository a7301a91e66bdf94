/**
 * Retries failed work in the background until it succeeds, with exponential backoff. Each key has
 * its own work and its own backoff.
 */

import { delayAfter, type Backoff } from '../delays.ts'

const BACKOFF: Backoff = { first: 1000, longest: 600_000 }
/**
 * Largest number of keys that wait, to limit the memory. The next process finds the others by their
 * notes.
 */
const MOST_WAITING = 100_000

/** When a key is tried again. */
interface Waiting {
  /** Time of the next attempt, by `performance.now()`. */
  readonly at: number
  /** Number of attempts that have failed. */
  readonly failures: number
}

/** Retries the work of the keys that were added until it has succeeded. */
export class Retries {
  readonly #attempt: (key: string) => Promise<boolean>
  readonly #waiting = new Map<string, Waiting>()
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null
  #isStopped = false

  /**
   * @param attempt Does the work of a key, and resolves to whether it has succeeded. A rejection
   * counts as false.
   */
  constructor(attempt: (key: string) => Promise<boolean>) {
    this.#attempt = attempt
  }

  /**
   * Adds a key whose work has just failed. If the key waits already, the time of its next attempt
   * does not change.
   */
  add(key: string): void {
    if (this.#waiting.has(key)) return
    this.#set(key, delayAfter(1, BACKOFF), 1)
    this.#plan()
  }

  /** Adds keys whose work is due at once. */
  async addAll(keys: AsyncIterable<string>): Promise<void> {
    for await (const key of keys) this.#set(key, 0, 0)
    this.#plan()
  }

  /** Stops all attempts. Resolves when the one in progress has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
  }

  /** Schedules the next attempt of a key, `delay` milliseconds from now. */
  #set(key: string, delay: number, failures: number): void {
    if (this.#waiting.size >= MOST_WAITING) return
    this.#waiting.set(key, { at: performance.now() + delay, failures })
  }

  /**
   * Sets the timer for the next attempt. Does nothing while attempts are running, because their end
   * calls it again.
   */
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

  /**
   * Tries all keys that are due, one at a time, because a start with many notes must not overload
   * the app.
   */
  async #run(): Promise<void> {
    const now = performance.now()
    for (const [key, { at, failures }] of [...this.#waiting]) {
      if (at > now || this.#isStopped) continue
      this.#waiting.delete(key)
      const isDone = await this.#attempt(key).catch(() => false)
      if (isDone) continue
      this.#set(key, delayAfter(failures + 1, BACKOFF), failures + 1)
    }
  }
}
