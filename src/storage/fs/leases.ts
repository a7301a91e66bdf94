/** Who in this process relies on what, so that a change can tell them that it is gone. */

/** A claim on a file. */
export interface Hold {
  /** What it is on. */
  readonly name: string
  /** Bytes from the start that must stay as they are. */
  readonly size: number
  /** Somebody else has changed them. */
  lost: boolean
}

/** The holds of one store. */
export class Holds {
  readonly #holds = new Map<string, Set<Hold>>()

  /** Begins to hold. `isLost` tells of a loss that this process has no part in. */
  take(name: string, size: number, isLost = (): boolean => false): Hold {
    const hold = createHold(name, size, isLost)
    const others = this.#holds.get(name)
    if (others === undefined) this.#holds.set(name, new Set([hold]))
    else others.add(hold)
    return hold
  }

  /** Ends a hold; twice does no harm. */
  drop(hold: Hold): void {
    const holds = this.#holds.get(hold.name)
    holds?.delete(hold)
    if (holds?.size === 0) this.#holds.delete(hold.name)
  }

  /** Nobody in this process holds anything. */
  get isEmpty(): boolean {
    return this.#holds.size === 0
  }

  /** Tells whether anybody holds `name`. */
  has(name: string): boolean {
    return this.#holds.has(name)
  }

  /** Tells all but `except` who rely on bytes from `position` on that these change. */
  lose(name: string, position: number, except: Hold | null): void {
    for (const hold of this.#holds.get(name) ?? []) {
      if (hold !== except && hold.size > position) hold.lost = true
    }
  }
}

function createHold(name: string, size: number, isLost: () => boolean): Hold {
  let lost = false
  return {
    name,
    size,
    get lost() {
      lost ||= isLost()
      return lost
    },
    set lost(value) {
      lost = value
    },
  }
}
