/**
 * A lock as a chain of symbolic links, each of which names an owner. The file of the lock names the first
 * owner, a file that is named after the first owner names its successor, and so on. The last owner of the
 * chain holds the lock.
 *
 *     <lock>      -> A    A was the first owner
 *     <lock>.A    -> B    B has taken over from A, and holds the lock
 *
 * The creation of a symbolic link fails if its name exists. Two newcomers can therefore not both succeed one
 * owner. An owner releases the lock by succeeding itself first, which fails if a newcomer has taken over. The
 * first link is removed first, because without it no other link of the chain can be reached, and no name of
 * an owner is used twice.
 */

import { lstatSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { lutimes, symlink } from 'node:fs/promises'
import { errorCode, isFull } from '../io.ts'
import { newOwner, ownerId } from './owner.ts'

/** One link of a chain. */
export interface Link {
  /** The path of the link. */
  readonly path: string
  /** The owner that it names. */
  readonly owner: string
}

/** Reads the links of a lock; empty if it is free. Synchronous, because the system answers from memory. */
export function chainOf(lock: string): readonly Link[] {
  const chain: Link[] = []
  for (let path = lock; ;) {
    const owner = ownerAt(path)
    if (owner === null) return chain
    chain.push({ path, owner })
    path = successor(lock, owner)
  }
}

/** Takes a free lock; null if it has an owner. `symlink` fails if the name exists, so only one can succeed. */
export async function takeFree(lock: string): Promise<OwnLink | null> {
  const link = { path: lock, owner: newOwner() }
  return (await isMade(link)) ? new OwnLink(lock, [], link) : null
}

/** Takes a lock from the last owner of `chain`, which is dead; null if another process was faster. */
export async function takeOver(lock: string, chain: readonly Link[]): Promise<OwnLink | null> {
  const last = chain.at(-1)
  if (last === undefined) return takeFree(lock)
  const link = { path: successor(lock, last.owner), owner: newOwner() }
  if (!(await isMade(link))) return null
  try {
    // The chain may have been removed before the link was created, in which case nothing leads to the link.
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
  /** Paths to remove at the release, in this order. */
  readonly #remains: string[]
  #isClosed = false

  constructor(lock: string, before: readonly Link[], link: Link) {
    this.#link = link
    this.#next = successor(lock, link.owner)
    this.#remains = [...before, link].map(({ path }) => path)
  }

  /** Whether another owner has taken the lock over, or the link was removed. */
  get isLost(): boolean {
    try {
      return isThere(this.#next) || ownerAt(this.#link.path) !== this.#link.owner
    } catch {
      return true // If the link can't be read, ownership can't be proven: treat the lock as lost.
    }
  }

  /** Renews the time of the link, as a sign of life for processes that can't see the process of the owner. */
  async renew(): Promise<void> {
    const now = new Date()
    await lutimes(this.#link.path, now, now)
  }

  /**
   * Releases the lock, synchronously, so that the next writer of this process finds it free. Does nothing if
   * the lock is lost.
   *
   * @throws Error of the system, after which `release` can be called again.
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
   * Keeps newcomers from taking over; false if one has, or if the link was removed.
   *
   *     owner                                newcomer
   *                                          reads the chain: the owner is the last
   *     creates the link after its own
   *                                          can't create that link, and reads the chain again
   *     removes both links
   *
   * Without the closing link the newcomer would succeed an owner whose own link is then removed, and nothing
   * would lead to the newcomer's link.
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
   * Releases the lock on a full disk, where no other link can be created. The rename replaces the link of a
   * newcomer that takes over at this moment, which the newcomer notices. Links before this one name dead
   * owners, from which any newcomer may take over.
   */
  #moveAway(): void {
    if (isThere(this.#next)) return
    renameSync(this.#link.path, this.#next)
    remove(this.#next)
  }
}

/** Returns whether a link exists. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** The owner that a link names; null if the link does not exist. */
function ownerAt(path: string): string | null {
  try {
    return isThere(path) ? readlinkSync(path) : null
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Creates a link; false if its name exists. */
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

/** Removes a link, if it exists. */
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
