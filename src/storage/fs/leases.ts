/**
 * Leases of readers and writers of this process: each covers the first bytes of a data file, or a whole
 * resource. A change of these bytes invalidates the lease, so that a reader fails instead of mixing two
 * versions, and a writer whose resource another one has changed throws.
 */

/** One reader or writer that relies on bytes. */
export interface Lease {
  /** The data file of a reader, or the hash of the key of a writer. */
  readonly name: string
  /** Number of bytes from the start that must not change. */
  readonly size: number
  /** Another writer has changed the bytes, or another process has the lock. Never becomes false again. */
  isInvalid: boolean
}

/** All leases of one store in this process. */
export class Leases {
  readonly #leases = new Map<string, Set<Lease>>()

  /**
   * Starts a lease. `isLost` returns whether another process has taken the lock, which no writer of this
   * process could report.
   */
  take(name: string, size: number, isLost = (): boolean => false): Lease {
    const lease = createLease(name, size, isLost)
    const others = this.#leases.get(name)
    if (others === undefined) this.#leases.set(name, new Set([lease]))
    else others.add(lease)
    return lease
  }

  /** Ends a lease. Does nothing the second time. */
  drop(lease: Lease): void {
    const leases = this.#leases.get(lease.name)
    leases?.delete(lease)
    if (leases?.size === 0) this.#leases.delete(lease.name)
  }

  /** Whether no reader and no writer of this process is active. */
  get isEmpty(): boolean {
    return this.#leases.size === 0
  }

  /** Returns whether a lease on `name` is active. */
  has(name: string): boolean {
    return this.#leases.has(name)
  }

  /** Invalidates all leases but `except` that cover bytes from `position` on. */
  invalidate(name: string, position: number, except: Lease | null): void {
    for (const lease of this.#leases.get(name) ?? []) {
      if (lease !== except && lease.size > position) lease.isInvalid = true
    }
  }
}

function createLease(name: string, size: number, isLost: () => boolean): Lease {
  let isInvalid = false
  return {
    name,
    size,
    get isInvalid() {
      isInvalid ||= isLost()
      return isInvalid
    },
    set isInvalid(value) {
      isInvalid = value
    },
  }
}
