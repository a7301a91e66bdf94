/** Decides which resource is rebuilt when: one at a time in each store, because a rebuild occupies the disk. */

import type { WithLock } from '../adapter.ts'
import { rebuild } from './rebuild.ts'
import type { FsResource, RebuildSchedule } from './resource.ts'

/** Resources that wait at most. Beyond it, the next start of a process finds the others by their layers. */
const MOST_WAITING = 10_000
/** Milliseconds until the next attempt after a failure, such as a full disk, and after many in a row. */
const FIRST_BACKOFF = 60_000
const LONGEST_BACKOFF = 3_600_000
/** Longest delay of a timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1

interface Waiting {
  readonly resource: FsResource
  readonly at: number
}

/** The rebuilds of one store. They begin when the middleware has lent the store its locks. */
export class Rebuilds implements RebuildSchedule {
  readonly #waiting = new Map<string, Waiting>()
  readonly #lenders = new Set<WithLock>()
  #timer: NodeJS.Timeout | null = null
  #plannedAt = Infinity
  #running: Promise<void> | null = null
  #abort = new AbortController()
  #failures = 0
  #pausedUntil = -Infinity

  schedule(resource: FsResource, isDue: boolean): void {
    const key = resource.paths.record
    if (!this.#waiting.has(key) && this.#waiting.size >= MOST_WAITING) return
    const at = performance.now() + (isDue ? 0 : resource.policy.rebuildAfter)
    this.#waiting.set(key, { resource, at })
    if (this.#timer === null || at < this.#plannedAt) this.#plan()
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

  /** Sets the timer for the next rebuild. */
  #plan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#running !== null || this.#lenders.size === 0) return
    const times = Array.from(this.#waiting.values(), ({ at }) => at)
    if (times.length === 0) return
    this.#plannedAt = Math.max(this.#pausedUntil, Math.min(...times))
    const delay = Math.min(LONGEST_TIMER, Math.max(0, this.#plannedAt - performance.now()))
    this.#timer = setTimeout(() => this.#begin(), delay).unref()
  }

  #begin(): void {
    const now = performance.now()
    const next = [...this.#waiting].find(([, { at }]) => at <= now)
    const [withLock] = this.#lenders
    if (next !== undefined && withLock !== undefined) {
      this.#waiting.delete(next[0])
      this.#running = this.#run(next[1].resource, withLock).finally(() => {
        this.#running = null
        this.#plan()
      })
    } else this.#plan()
  }

  /** Never throws: a failed rebuild leaves the resource as it is, and is tried again later. */
  async #run(resource: FsResource, withLock: WithLock): Promise<void> {
    const { signal } = this.#abort
    try {
      const outcome = await rebuild(resource, withLock, signal)
      this.#failures = 0
      if (outcome === 'stale') this.schedule(resource, false)
    } catch {
      if (signal.aborted) return this.schedule(resource, false)
      // A full or failing disk stays so for a while, for all resources.
      const backoff = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** this.#failures)
      this.#failures += 1
      this.#pausedUntil = performance.now() + backoff
      this.schedule(resource, false)
    }
  }
}
