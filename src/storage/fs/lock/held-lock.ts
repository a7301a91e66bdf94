/** A lock that a request of this process holds, as its holder sees it. */

import type { Lock } from '../../lock.ts'
import type { OwnLink } from './chain.ts'

/** Joins the lock within this process with the link that excludes other processes. */
export class HeldLock implements Lock {
  readonly #local: Lock
  readonly #link: OwnLink
  /** Releases the lock and the link. */
  readonly release: () => void

  /** `local` is the lock within this process. */
  constructor(local: Lock, link: OwnLink, release: () => void) {
    this.#local = local
    this.#link = link
    this.release = release
  }

  get isRevoked(): boolean {
    return this.#local.isRevoked
  }

  get isLost(): boolean {
    return this.#link.isLost
  }

  onRevoke(listener: () => void): void {
    this.#local.onRevoke(listener)
  }

  idle(): void {
    this.#local.idle()
  }

  busy(): void {
    this.#local.busy()
  }
}
