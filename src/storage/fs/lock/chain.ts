/**
 * A lock as a chain of symbolic links. The target of each link is the name of an owner. No file
 * exists at the target: the link only stores the name. The link of the lock names the first owner,
 * a link that is named after the first owner names its successor, and so on. The last owner of the
 * chain holds the lock.
 *
 *     <lock>      -> A    A was the first owner
 *     <lock>.A    -> B    B has taken over from A, and holds the lock
 *
 * The creation of a symbolic link fails if its name exists. If two newcomers want to become the
 * successor of the same owner, only one can therefore create the link. An owner releases the lock
 * by creating the link of its own successor, which fails if a newcomer has created it first.
 * The owner then removes the links of the chain from the first to the last: when the first one is
 * removed, no newcomer finds the others. No name of an owner is used twice, so that a link which a
 * crash has left never becomes a part of a later chain.
 */

import { lstatSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { lutimes, symlink } from 'node:fs/promises'
import { errorCode, isFull } from '../io.ts'
import { newOwner, ownerId } from './owner.ts'

/**
 * Milliseconds between two checks whether the link of the lock still exists. Each pause is twice as
 * long as the one before, up to the longest.
 */
const FIRST_PAUSE = 10
const LONGEST_PAUSE = 200

/** One link of a chain: a symbolic link on the disk. */
export interface Link {
  /** Absolute path of the link. */
  readonly path: string
  /** Target of the link: the name of an owner, as `newOwner` makes it. */
  readonly owner: string
}

/**
 * Reads the chain of a lock, the first owner first; empty if the lock is free. The calls are
 * synchronous because the system answers them from memory, faster than the thread pool wakes up.
 */
export function chainOf(lock: string): readonly Link[] {
  const chain: Link[] = []
  for (let path = lock; ;) {
    const owner = ownerAt(path)
    if (owner === null) return chain
    chain.push({ path, owner })
    path = successor(lock, owner)
  }
}

/** Takes a free lock. Returns null if the lock has an owner, because its link exists then. */
export async function takeFree(lock: string): Promise<OwnLink | null> {
  const link = { path: lock, owner: newOwner() }
  return (await isMade(link)) ? new OwnLink(lock, [], link) : null
}

/**
 * Takes a lock from the last owner of `chain`, which the caller has found dead. Returns null if
 * another process has taken or released the lock since `chain` was read.
 */
export async function takeOver(lock: string, chain: readonly Link[]): Promise<OwnLink | null> {
  const last = chain.at(-1)
  if (last === undefined) return takeFree(lock)
  const link = { path: successor(lock, last.owner), owner: newOwner() }
  if (!(await isMade(link))) return null
  try {
    // The owner may have released the lock after `chain` was read and before the new link was
    // created. Its chain is removed then, and no process can find the new link from the lock, so
    // that this process does not hold the lock.
    const current = chainOf(lock)
    if (current.at(-1)?.owner === link.owner) return new OwnLink(lock, current.slice(0, -1), link)
  } catch (error) {
    remove(link.path)
    throw error
  }
  remove(link.path)
  return null
}

/** The link by which this process holds a lock. */
export class OwnLink {
  readonly #link: Link
  readonly #next: string
  /**
   * Paths of the chain's links that `release` still has to remove, the first link of the chain
   * first.
   */
  readonly #remains: string[]
  #isClosed = false

  constructor(lock: string, before: readonly Link[], link: Link) {
    this.#link = link
    this.#next = successor(lock, link.owner)
    this.#remains = [...before, link].map(({ path }) => path)
  }

  /** Whether another owner has taken the lock over, or the link was removed by another program. */
  get isLost(): boolean {
    try {
      return isThere(this.#next) || ownerAt(this.#link.path) !== this.#link.owner
    } catch {
      return true // If the link can't be read, ownership can't be proven: treat the lock as lost.
    }
  }

  /**
   * Sets the time of the link to now, as a sign of life. Processes in another container or on
   * another machine can't check the process of the owner, and decide by this time whether the owner
   * is alive.
   */
  async renew(): Promise<void> {
    const now = new Date()
    await lutimes(this.#link.path, now, now)
  }

  /**
   * Releases the lock within this call, so that the next writer of this process finds it free. Does
   * nothing if the lock was lost: the links belong to the new owner then.
   *
   * @throws Error of the file system. The lock may still be held, and `release` can be called
   * again.
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

  /**
   * Creates the link of this owner's successor, so that no newcomer can create it. Returns false if
   * a newcomer has created it before, or if this owner's link was removed.
   *
   *     owner                                newcomer
   *                                          reads the chain: the owner is the last one
   *     creates the link of its successor
   *                                          fails to create that link, and reads the chain again
   *     removes both links
   *
   * Without this step the newcomer could create its link just before the owner removes its own. No
   * chain would lead to the newcomer's link, and a third process would find the lock free.
   */
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
   * Releases the lock on a full disk, where the link of the successor can't be created. The owner's
   * link is renamed to the name of its successor instead, and removed there. If a newcomer takes
   * over at this moment, the rename replaces the newcomer's link: it then reads the chain, does not
   * find itself, and tries again. Links before this one name dead owners, from which any newcomer
   * may take over.
   */
  #moveAway(): void {
    if (isThere(this.#next)) return
    renameSync(this.#link.path, this.#next)
    remove(this.#next)
  }
}

/** Returns whether a file or a link exists at `path`. A link is not followed. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/**
 * Waits until no file or link exists at `path`, or until the time `until` (by `performance.now()`).
 */
export async function untilGone(path: string, until: number): Promise<void> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const left = until - performance.now()
    if (left <= 0) return
    await new Promise((done) => setTimeout(done, Math.min(pause, left)))
    if (!isThere(path)) return
  }
}

/**
 * Returns the owner that the link at `path` names; null if the link does not exist. The link may be
 * removed by its owner between the two calls, in which case `readlink` fails with ENOENT.
 */
function ownerAt(path: string): string | null {
  try {
    return isThere(path) ? readlinkSync(path) : null
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Creates a link. Returns false if its name exists. */
async function isMade({ path, owner }: Link): Promise<boolean> {
  try {
    await symlink(owner, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Creates a link with the name of a new owner, like `isMade`, but without an `await`: the release
 * of a lock must not be interrupted by another request of this process.
 */
function isMadeNow(path: string): boolean {
  try {
    symlinkSync(newOwner(), path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Removes a link. Does nothing if it does not exist, because another process may sweep it first.
 */
export function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Returns the path of the link that names the successor of `owner`. */
function successor(lock: string, owner: string): string {
  return `${lock}.${ownerId(owner)}`
}
