/**
 * Decides whether the owner of a lock or of a lease is alive. The process number of an owner in
 * another container or on another machine means nothing here. Such an owner is watched instead: it
 * renews the time of its link every second, and counts as dead after a time without a renewal.
 */

import { lstat } from 'node:fs/promises'
import { ifThere } from '../io.ts'
import type { Link } from './chain.ts'
import { livenessOf } from './owner.ts'

/**
 * Milliseconds without a renewal after which an owner whose process can't be checked counts as
 * dead. A shorter time would take locks from processes that are only busy. A longer time would
 * delay every upload that resumes after its container was killed.
 */
export const LOCK_LIFE = 5000
/**
 * Number of owners that are watched at a time, to bound the memory. Beyond it the owner that was
 * checked longest ago is forgotten, and gets the whole time again.
 */
const MAX_WATCHED = 10_000

/** What this process remembers about an owner whose process it can't check. */
interface Watched {
  readonly owner: string
  /**
   * Time of the link when this process last read it, in milliseconds since 1970 by the owner's
   * clock.
   */
  readonly sign: number
  /**
   * When this process first read that time, by `performance.now()`. The age of the time is measured
   * with the clock of this process alone, so that the clocks of the two machines need not agree.
   */
  readonly since: number
}

/**
 * The result of a check. `undecided`: the owner has not renewed its link since the last check, and
 * not been silent for long enough yet.
 */
export type Verdict = 'alive' | 'dead' | 'undecided'

/** Watches the owners of links whose processes can't be checked. */
export class Watch {
  /**
   * The watched owners, by the path of their lock or lease. The owner that was renewed longest ago
   * is the first.
   */
  readonly #watched = new Map<string, Watched>()
  readonly #life: number

  /** @param life milliseconds without a renewal after which such an owner is dead */
  constructor(life: number) {
    this.#life = life
  }

  /**
   * Checks the owner of a link. The first check of an owner whose process can't be checked returns
   * `undecided`, because a single read of the link's time does not show whether it is still
   * renewed.
   */
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

  /** Forgets the owner of a lock, before another owner takes it over. */
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
