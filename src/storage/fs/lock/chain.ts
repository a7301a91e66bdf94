/**
 * A lock as a chain of symbolic links, each of which names an owner: the lock's own file names the
 * first, a file named after that one its successor, and so on. Who is last holds the lock.
 *
 * A link is made only where none is, so two newcomers never succeed one owner, and no owner lets go
 * after it has been succeeded: to let go it first succeeds itself. The first link goes first; what is
 * behind it then can't be reached any more, and as no name comes twice, never will be.
 */

import { lstatSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { lutimes, symlink } from 'node:fs/promises'
import { errorCode, isFull } from '../io.ts'
import { newOwner, ownerId } from './owner.ts'

/** One link of a chain. */
export interface Link {
  /** Its file. */
  readonly path: string
  /** Whom it names. */
  readonly owner: string
}

/** The links of a lock; empty if nobody holds it. Looks at once: the system answers from memory. */
export function chainOf(lock: string): readonly Link[] {
  const chain: Link[] = []
  for (let path = lock; ;) {
    const owner = ownerAt(path)
    if (owner === null) return chain
    chain.push({ path, owner })
    path = successor(lock, owner)
  }
}

/** Takes a lock that nobody holds; null if somebody does. */
export async function takeFree(lock: string): Promise<OwnLink | null> {
  const link = { path: lock, owner: newOwner() }
  return (await isMade(link)) ? new OwnLink(lock, [], link) : null
}

/** Takes a lock from the last owner of `chain`, who is dead; null if that is not the last any more. */
export async function takeOver(lock: string, chain: readonly Link[]): Promise<OwnLink | null> {
  const last = chain.at(-1)
  if (last === undefined) return takeFree(lock)
  const link = { path: successor(lock, last.owner), owner: newOwner() }
  if (!(await isMade(link))) return null
  try {
    // The chain may have gone before the link was made.
    const current = chainOf(lock)
    if (current.at(-1)?.owner === link.owner) return new OwnLink(lock, current.slice(0, -1), link)
  } catch (error) {
    remove(link.path)
    throw error
  }
  remove(link.path)
  return null
}

/** A link by which this process holds a lock. */
export class OwnLink {
  readonly #link: Link
  readonly #next: string
  /** What is to be removed, in this order. */
  readonly #remains: string[]
  #isClosed = false

  constructor(lock: string, before: readonly Link[], link: Link) {
    this.#link = link
    this.#next = successor(lock, link.owner)
    this.#remains = [...before, link].map(({ path }) => path)
  }

  /** The lock has gone to another owner, or somebody has removed its file. */
  get isLost(): boolean {
    try {
      return isThere(this.#next) || ownerAt(this.#link.path) !== this.#link.owner
    } catch {
      return true // Who can't look must not write.
    }
  }

  /** Shows those who can't see this process that it lives. */
  async renew(): Promise<void> {
    const now = new Date()
    await lutimes(this.#link.path, now, now)
  }

  /**
   * Lets go, at once, so that the next writer of this process finds the lock free. Does nothing if it
   * is lost.
   *
   * @throws Error of the system; then it can be tried again.
   */
  release(): void {
    if (!this.#isClosed && !this.#close()) return
    this.#isClosed = true
    for (let [path] = this.#remains; path !== undefined; [path] = this.#remains) {
      remove(path)
      this.#remains.shift()
    }
    remove(this.#next)
  }

  /** Sees to it that nobody can take over any more; false if somebody has, or the link is gone. */
  #close(): boolean {
    if (ownerAt(this.#link.path) !== this.#link.owner) return false
    try {
      return isMadeNow(this.#next)
    } catch (error) {
      if (!isFull(error)) throw error
      this.#moveAway()
      return false
    }
  }

  /**
   * Lets go where there is no room for another link: a successor that comes in between loses its own,
   * and sees that. What is before this link names the dead, from whom anybody may take it.
   */
  #moveAway(): void {
    if (isThere(this.#next)) return
    renameSync(this.#link.path, this.#next)
    remove(this.#next)
  }
}

/** Tells whether there is a link. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** Whom a link names; null if it is not there. */
function ownerAt(path: string): string | null {
  try {
    return isThere(path) ? readlinkSync(path) : null
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Makes a link where none is. */
async function isMade({ path, owner }: Link): Promise<boolean> {
  try {
    await symlink(owner, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

function isMadeNow(path: string): boolean {
  try {
    symlinkSync(newOwner(), path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/** Removes a link, if it is there. */
export function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

function successor(lock: string, owner: string): string {
  return `${lock}.${ownerId(owner)}`
}
