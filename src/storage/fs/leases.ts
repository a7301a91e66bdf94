/**
 * Leases: how the readers and writers of one process notice that bytes have changed on which they
 * rely. A lease covers the first bytes of a data file (of a reader), or a whole resource (of a
 * writer). A writer invalidates the leases that cover bytes which it is about to change. A reader
 * then fails instead of sending bytes of two versions, and a writer stops before it changes
 * anything.
 */

/**
 * The lease of one reader or writer. It is a class, because V8 would give each object literal with
 * a getter a hidden class of its own, and would look up the properties of every lease anew.
 */
export class Lease {
  /** The name of the data file for a reader, the hash of the key for a writer. */
  readonly name: string
  /** Number of bytes from the start that must not change; infinite for a whole resource. */
  readonly size: number
  readonly #isLost: () => boolean
  #isInvalid = false

  /** `isLost` returns whether another process has taken the lock. */
  constructor(name: string, size: number, isLost: () => boolean) {
    this.name = name
    this.size = size
    this.#isLost = isLost
  }

  /**
   * Whether another writer has changed these bytes, or another process has taken the lock. Never
   * becomes false again.
   */
  get isInvalid(): boolean {
    this.#isInvalid ||= this.#isLost()
    return this.#isInvalid
  }

  /** Notes that another writer changes these bytes. */
  invalidate(): void {
    this.#isInvalid = true
  }
}

/** All leases of one store in this process. */
export class Leases {
  readonly #leases = new Map<string, Set<Lease>>()

  /**
   * Starts a lease. `isLost` returns whether another process has taken the lock. The lease asks it
   * each time, because no writer of another process can invalidate a lease of this one.
   */
  take(name: string, size: number, isLost = (): boolean => false): Lease {
    const lease = new Lease(name, size, isLost)
    const others = this.#leases.get(name)
    if (others === undefined) this.#leases.set(name, new Set([lease]))
    else others.add(lease)
    return lease
  }

  /** Ends a lease. A second call does nothing. */
  drop(lease: Lease): void {
    const leases = this.#leases.get(lease.name)
    leases?.delete(lease)
    if (leases?.size === 0) this.#leases.delete(lease.name)
  }

  /** Whether this process has no active reader and no active writer. */
  get isEmpty(): boolean {
    return this.#leases.size === 0
  }

  /** Returns whether a lease on `name` is active. */
  has(name: string): boolean {
    return this.#leases.has(name)
  }

  /** Invalidates all leases on `name` that cover bytes from `position` on, without `except`. */
  invalidate(name: string, position: number, except: Lease | null): void {
    for (const lease of this.#leases.get(name) ?? []) {
      if (lease !== except && lease.size > position) lease.invalidate()
    }
  }
}
