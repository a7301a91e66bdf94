/** Tells whether the owner of a lock is dead; one that can't be seen is watched for signs of life. */

import { lstat } from 'node:fs/promises'
import { ifThere } from '../io.ts'
import type { Link } from './chain.ts'
import { fateOf } from './owner.ts'

/** An owner that can't be seen, and has shown no sign of life for so many milliseconds, is dead. */
const LIFE = 5000
/** Owners that are watched at a time; the one watched longest makes way. */
const MAX_WATCHED = 10_000

interface Watched {
  /** The owner, and its last sign of life. */
  readonly sign: string
  /** When that was first seen, by the clock of this process: no two others need agree. */
  readonly since: number
}

/** The owners that one process watches. */
export class Watch {
  /** By the lock's file. */
  readonly #watched = new Map<string, Watched>()

  /** Tells whether the owner of a lock is dead. One that can't be seen is so at the first look never. */
  async isDead(lock: string, { path, owner }: Link): Promise<boolean> {
    const fate = fateOf(owner)
    if (fate !== 'unknown') return fate === 'dead'
    const found = await ifThere(lstat(path))
    if (found === null) return false
    const sign = `${owner} ${found.mtimeMs}`
    const watched = this.#watched.get(lock)
    if (watched?.sign === sign) return performance.now() - watched.since > LIFE
    this.#put(lock, { sign, since: performance.now() })
    return false
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
