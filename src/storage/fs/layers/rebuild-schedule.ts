/**
 * Decides which file is rebuilt when: one at a time in each store, because a rebuild occupies the
 * disk.
 */

import { delayAfter, LONGEST_TIMER, type Backoff } from '../../../delays.ts'
import type { WithLock } from '../../adapter.ts'
import { errorCode } from '../io.ts'
import { rebuild } from './rebuild.ts'
import type { FsResource, RebuildSchedule } from '../resource.ts'

/**
 * Number of files that wait for a rebuild at most. The next start of a process finds the others by
 * their layers.
 */
const MOST_WAITING = 10_000
/** When a rebuild is tried again after a failure. */
const BACKOFF: Backoff = { first: 60_000, longest: 3_600_000 }

/** A file that waits for its rebuild. */
interface Waiting {
  readonly resource: FsResource
  /** When the rebuild may begin, by `performance.now()`. */
  readonly at: number
  /** Number of attempts that have failed in a row. */
  readonly failures: number
}

/**
 * The rebuilds of one store. A rebuild needs the lock of its key, which only the middleware can
 * take, so that none begins before the middleware has called `start`.
 */
export class Rebuilds implements RebuildSchedule {
  readonly #waiting = new Map<string, Waiting>()
  readonly #lenders = new Set<WithLock>()
  #timer: NodeJS.Timeout | null = null
  #plannedAt = Infinity
  #running: Promise<void> | null = null
  #abort = new AbortController()
  /** No rebuild begins before this time, because the disk is full or fails. */
  #pausedUntil = -Infinity

  schedule(resource: FsResource, isDue: boolean): void {
    const waiting = this.#waiting.get(resource.paths.record)
    // After a failure a patch does not bring the next attempt forward, because that attempt would
    // fail in the same way.
    if (waiting !== undefined && waiting.failures > 0) return
    this.#wait(resource, isDue ? 0 : resource.policy.rebuildAfter, 0)
  }

  /**
   * Begins to rebuild with the locks that `withLock` takes. Returns a function that ends that. The
   * last one to be called aborts the rebuild in progress, and resolves when it has stopped.
   */
  start(withLock: WithLock): () => Promise<void> {
    this.#lenders.add(withLock)
    this.#plan()
    return async () => {
      this.#lenders.delete(withLock)
      if (this.#lenders.size > 0) return
      this.#abort.abort()
      this.#abort = new AbortController()
      await this.#running
    }
  }

  /** Adds a resource that waits `delay` milliseconds, or changes its time. */
  #wait(resource: FsResource, delay: number, failures: number): void {
    const key = resource.paths.record
    if (!this.#waiting.has(key) && this.#waiting.size >= MOST_WAITING) return
    const at = performance.now() + delay
    this.#waiting.set(key, { resource, at, failures })
    if (this.#timer === null || at < this.#plannedAt) this.#plan()
  }

  /** Sets the timer for the next rebuild. */
  #plan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#running !== null || this.#lenders.size === 0 || this.#waiting.size === 0) return
    const first = Array.from(this.#waiting.values()).reduce((a, b) => (b.at < a.at ? b : a))
    this.#plannedAt = Math.max(this.#pausedUntil, first.at)
    const delay = Math.min(LONGEST_TIMER, Math.max(0, this.#plannedAt - performance.now()))
    this.#timer = setTimeout(() => this.#begin(), delay).unref()
  }

  /** Starts the rebuild of the first resource whose time has come. */
  #begin(): void {
    const now = performance.now()
    const next = [...this.#waiting.values()].find(({ at }) => at <= now)
    const [withLock] = this.#lenders
    if (next === undefined || withLock === undefined) {
      this.#plan()
      return
    }
    this.#waiting.delete(next.resource.paths.record)
    this.#running = this.#run(next, withLock).finally(() => {
      this.#running = null
      this.#plan()
    })
  }

  /**
   * Rebuilds one file. Never rejects: a failed rebuild leaves the resource as it is, and is
   * repeated later.
   */
  async #run({ resource, failures }: Waiting, withLock: WithLock): Promise<void> {
    const { signal } = this.#abort
    const { rebuildAfter } = resource.policy
    try {
      const outcome = await rebuild(resource, withLock, signal)
      if (outcome === 'stale') this.#wait(resource, rebuildAfter, 0)
    } catch (error) {
      if (signal.aborted) {
        this.#wait(resource, rebuildAfter, 0)
        return
      }
      // An error of the system, such as a full disk, would make the rebuilds of other files fail
      // too.
      if (errorCode(error)?.startsWith('E') === true) {
        this.#pausedUntil = performance.now() + BACKOFF.first
      }
      this.#wait(resource, delayAfter(failures + 1, BACKOFF), failures + 1)
    }
  }
}
