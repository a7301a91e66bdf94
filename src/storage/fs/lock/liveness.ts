/**
 * Whether the owner of a link is alive. An owner in another container or on another machine has no process
 * number here. It is watched: it renews the time of its link, and counts as dead after a silence.
 */

import { lstat } from 'node:fs/promises'
import { ifThere } from '../io.ts'
import type { Link } from './chain.ts'
import { livenessOf } from './owner.ts'

/**
 * A lock whose owner is not visible is free after this many milliseconds without a sign of life. A shorter time
 * would take locks from processes that are only busy, a longer one delays the resumption after a crash.
 */
export const LOCK_LIFE = 5000
/** Owners that are watched at a time, which bounds the memory. Beyond it the one watched longest is forgotten. */
const MAX_WATCHED = 10_000

interface Watched {
  readonly owner: string
  /** The last sign of life: the time of the link. */
  readonly sign: number
  /** When this process first saw that sign, by its own clock, so that the clocks need not agree. */
  readonly since: number
}

/** What a watch says of an owner; `undecided` until it has shown life or been silent for long enough. */
export type Verdict = 'alive' | 'dead' | 'undecided'

/** The owners that this process watches. */
export class Watch {
  /** By the path of the lock. */
  readonly #watched = new Map<string, Watched>()
  readonly #life: number

  /** An owner that is not visible is dead after `life` milliseconds without a sign of life. */
  constructor(life: number) {
    this.#life = life
  }

  /** Checks the owner of a lock. One that is not visible is never dead at the first check. */
  async check(lock: string, { path, owner }: Link): Promise<Verdict> {
    const liveness = livenessOf(owner)
    if (liveness !== 'unknown') return liveness
    const found = await ifThere(lstat(path))
    if (found === null) return 'undecided'
    const watched = this.#watched.get(lock)
    if (watched?.owner === owner && watched.sign === found.mtimeMs) {
      return performance.now() - watched.since > this.#life ? 'dead' : 'undecided'
    }
    this.#put(lock, { owner, sign: found.mtimeMs, since: performance.now() })
    return watched?.owner === owner ? 'alive' : 'undecided'
  }

  /** Stops watching the owner of a lock. */
  forget(lock: string): void {
    this.#watched.delete(lock)
  }

  #put(lock: string, watched: Watched): void {
    this.#watched.delete(lock)
    this.#watched.set(lock, watched)
    const [oldest] = this.#watched.keys()
    if (this.#watched.size > MAX_WATCHED && oldest !== undefined) this.#watched.delete(oldest)
  }
}
