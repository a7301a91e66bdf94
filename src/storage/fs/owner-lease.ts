/**
 * The lease by which a process owns the files that it has staged and that no record refers to yet. It is a
 * symbolic link in the staging directory that names the process, and whose time the process renews while it
 * writes. The name of each staged file has the id of the lease. A sweep can therefore remove the files of a
 * dead process at once, and it keeps those of a living one even after a jump of the clock.
 */

import { randomBytes } from 'node:crypto'
import { lutimesSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ifThere } from './io.ts'
import { newOwner } from './lock/owner.ts'
import type { Verdict, Watch } from './lock/liveness.ts'

/** How often a process renews its lease while it writes, in milliseconds. */
const PERIOD = 3000
/** A process in another namespace counts as dead after this many milliseconds without a renewal. */
export const LEASE_LIFE = 15_000

const LEASE = /^(?<id>[\w-]{6})\.owner$/

/** The lease of this process on the files that it stages in one staging directory. */
export class OwnerLease {
  /** Identifies the lease, with 36 random bits. */
  readonly id = randomBytes(6).toString('base64url').slice(0, 6)
  readonly #path: string
  readonly #owner = newOwner()
  readonly #isNeeded: () => boolean
  #renewedAt = -Infinity
  #timer: NodeJS.Timeout | null = null

  /** `isNeeded` returns whether a writer of this process may have staged a file. */
  constructor(staging: string, isNeeded: () => boolean) {
    this.#path = leasePath(staging, this.id)
    this.#isNeeded = isNeeded
  }

  /**
   * Creates or renews the lease, before a file is staged. Best effort, because a removal must work on a full
   * disk too. A sweep keeps a file without a lease until it is an hour old.
   */
  keepAlive(): void {
    this.#timer ??= setInterval(() => this.update(), PERIOD).unref()
    if (performance.now() - this.#renewedAt >= PERIOD / 2) this.#renew()
  }

  /** Renews the lease, or ends it if nothing needs it. */
  update(): void {
    if (this.#timer === null) return
    if (this.#isNeeded()) return this.keepAlive()
    clearInterval(this.#timer)
    this.#timer = null
    this.#renewedAt = -Infinity
    try {
      unlinkSync(this.#path)
    } catch {
      // The next writer renews it, or a sweep of another process removes it.
    }
  }

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

/** Returns the id of the lease with this file name; null if the name is not that of a lease. */
export function leaseIdOf(name: string): string | null {
  return LEASE.exec(name)?.groups?.['id'] ?? null
}

/** Checks whether the owner of a lease is alive; null if the lease does not exist. */
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

/** Removes the lease of a dead process, if it exists. */
export async function removeLease(staging: string, id: string): Promise<void> {
  await ifThere(unlink(leasePath(staging, id)))
}

function leasePath(staging: string, id: string): string {
  return join(staging, `${id}.owner`)
}
