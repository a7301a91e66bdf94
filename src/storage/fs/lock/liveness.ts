/** Whether the owner of a link lives. One that this process can't see is watched for signs of life. */

import { lstat } from 'node:fs/promises'
import { ifThere } from '../io.ts'
import type { Link } from './chain.ts'
import { livenessOf } from './owner.ts'

/** A lock whose owner can't be seen, and was silent for this many milliseconds, is free. */
export const LOCK_LIFE = 5000
/** Owners that are watched at a time; the one watched longest makes way. */
const MAX_WATCHED = 10_000

interface Watched {
  readonly owner: string
  /** Its last sign of life: the time of the link. */
  readonly sign: number
  /** When that was first seen, by the clock of this process: no two others need agree. */
  readonly since: number
}

/** What a watch knows of an owner: `undecided` may still turn out to be dead. */
export type Verdict = 'alive' | 'dead' | 'undecided'

/** The owners that one process watches. */
export class Watch {
  /** By the lock's file. */
  readonly #watched = new Map<string, Watched>()
  readonly #life: number

  /** An owner that can't be seen, and was silent for `life` milliseconds, is dead. */
  constructor(life: number) {
    this.#life = life
  }

  /** Checks the owner of a lock. One that can't be seen is never dead at the first check. */
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

  /** Ends watching over a lock. */
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
