/** Decides which resource is rebuilt when: one at a time in each store, because a rebuild occupies the disk. */

import type { WithLock } from '../../adapter.ts'
import { errorCode } from '../io.ts'
import { rebuild } from './rebuild.ts'
import type { FsResource, RebuildSchedule } from '../resource.ts'

/** Resources that wait at most. Beyond it, the next start of a process finds the others by their layers. */
const MOST_WAITING = 10_000
/** Milliseconds until the next attempt after a failure, and after many failures in a row. */
const FIRST_BACKOFF = 60_000
const LONGEST_BACKOFF = 3_600_000
/** Longest delay of a timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1

interface Waiting {
  readonly resource: FsResource
  readonly at: number
  /** Attempts that have failed one after the other. */
  readonly failures: number
}

/** The rebuilds of one store. They begin when the middleware has lent the store its locks. */
export class Rebuilds implements RebuildSchedule {
  readonly #waiting = new Map<string, Waiting>()
  readonly #lenders = new Set<WithLock>()
  #timer: NodeJS.Timeout | null = null
  #plannedAt = Infinity
  #running: Promise<void> | null = null
  #abort = new AbortController()
  /** No rebuild begins before, because the disk is full or fails. */
  #pausedUntil = -Infinity

  schedule(resource: FsResource, isDue: boolean): void {
    const waiting = this.#waiting.get(resource.paths.record)
    // After a failure, a patch does not bring the next attempt forward.
    if (waiting !== undefined && waiting.failures > 0) return
    this.#wait(resource, isDue ? 0 : resource.policy.rebuildAfter, 0)
  }

  /** Begins to rebuild with the locks of the caller; returns a function that ends that. */
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

  /** Never throws: a failed rebuild leaves the resource as it is, and is tried again later. */
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
      // Other resources would fail as well, because the error is one of the system.
      if (errorCode(error)?.startsWith('E') === true) {
        this.#pausedUntil = performance.now() + FIRST_BACKOFF
      }
      const backoff = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** failures)
      this.#wait(resource, backoff, failures + 1)
    }
  }
}
