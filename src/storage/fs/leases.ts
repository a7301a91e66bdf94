/** Who in this process relies on what, so that a change can tell them that it is gone. */

/** A claim on a file. */
export interface Lease {
  /** What it is on. */
  readonly name: string
  /** Bytes from the start that must stay as they are. */
  readonly size: number
  /** Somebody else has changed them. */
  isInvalid: boolean
}

/** The holds of one store. */
export class Leases {
  readonly #leases = new Map<string, Set<Lease>>()

  /** Begins to hold. `isLost` tells of a loss that this process has no part in. */
  take(name: string, size: number, isLost = (): boolean => false): Lease {
    const lease = createLease(name, size, isLost)
    const others = this.#leases.get(name)
    if (others === undefined) this.#leases.set(name, new Set([lease]))
    else others.add(lease)
    return lease
  }

  /** Ends a hold; twice does no harm. */
  drop(lease: Lease): void {
    const leases = this.#leases.get(lease.name)
    leases?.delete(lease)
    if (leases?.size === 0) this.#leases.delete(lease.name)
  }

  /** Nobody in this process holds anything. */
  get isEmpty(): boolean {
    return this.#leases.size === 0
  }

  /** Tells whether anybody holds `name`. */
  has(name: string): boolean {
    return this.#leases.has(name)
  }

  /** Tells all but `except` who rely on bytes from `position` on that these change. */
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
