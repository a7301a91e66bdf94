/**
 * The lease by which a process owns the files that it has staged and to which no record refers yet.
 * It is a symbolic link in the staging directory, whose target names the process and whose time the
 * process renews while it writes. Each staged file has the id of the lease in its name. A sweep of
 * another process can therefore remove the files of a dead process at once, and keeps those of a
 * living process even if the clock jumps by hours: the age of a file alone would not distinguish
 * the two.
 */

import { randomBytes } from 'node:crypto'
import { lutimesSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ifThere } from './io.ts'
import { newOwner } from './lock/owner.ts'
import type { Verdict, Watch } from './lock/liveness.ts'

/** Milliseconds between two renewals while this process writes. */
const PERIOD = 3000
/** Milliseconds without a renewal after which a process in another container counts as dead. */
export const LEASE_LIFE = 15_000

const LEASE = /^(?<id>[\w-]{6})\.owner$/

/** The lease of this process on the files that it creates in one staging directory. */
export class OwnerLease {
  /** Identifies the lease: 36 random bits in six characters. */
  readonly id = randomBytes(6).toString('base64url').slice(0, 6)
  readonly #path: string
  readonly #owner = newOwner()
  readonly #isNeeded: () => boolean
  #renewedAt = -Infinity
  #timer: NodeJS.Timeout | null = null

  /**
   * `isNeeded` returns whether a writer or a reader of this process is active, which may have
   * staged a file.
   */
  constructor(staging: string, isNeeded: () => boolean) {
    this.#path = leasePath(staging, this.id)
    this.#isNeeded = isNeeded
  }

  /**
   * Creates or renews the lease. Called before a file is staged. Best effort: if the link can't be
   * created, as on a full disk, the write continues without it, because a sweep keeps a file
   * without a lease until it is an hour old.
   */
  keepAlive(): void {
    this.#timer ??= setInterval(() => this.update(), PERIOD).unref()
    if (performance.now() - this.#renewedAt >= PERIOD / 2) this.#renew()
  }

  /** Renews the lease, or removes it if no reader and no writer is active any more. */
  update(): void {
    if (this.#timer === null) return
    if (this.#isNeeded()) return this.keepAlive()
    clearInterval(this.#timer)
    this.#timer = null
    this.#renewedAt = -Infinity
    try {
      unlinkSync(this.#path)
    } catch {
      // The next writer renews the lease, or a sweep removes it after this process has ended.
    }
  }

  /**
   * Sets the time of the link to now. Creates the link if it was removed, by `update` or by another
   * program.
   */
  #renew(): void {
    this.#renewedAt = performance.now()
    try {
      const now = new Date()
      lutimesSync(this.#path, now, now)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') this.#create()
    }
  }

  #create(): void {
    try {
      symlinkSync(this.#owner, this.#path)
    } catch {
      this.#renewedAt = -Infinity // The next writer tries again.
    }
  }
}

/** Returns the id of a lease from the name of its file; null for any other file. */
export function leaseIdOf(name: string): string | null {
  return LEASE.exec(name)?.groups?.['id'] ?? null
}

/** Checks whether the process of a lease is alive; null if the lease does not exist. */
export async function checkLease(
  staging: string,
  id: string,
  watch: Watch,
): Promise<Verdict | null> {
  const path = leasePath(staging, id)
  let owner: string
  try {
    owner = readlinkSync(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
  return watch.check(path, { path, owner })
}

/** Removes the lease of a dead process. Does nothing if it does not exist. */
export async function removeLease(staging: string, id: string): Promise<void> {
  await ifThere(unlink(leasePath(staging, id)))
}

function leasePath(staging: string, id: string): string {
  return join(staging, `${id}.owner`)
}
