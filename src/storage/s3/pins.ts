/**
 * Keeps finished objects readable for the open readers of this process. In a bucket without
 * versioning, the bytes of an object are lost when it is replaced or removed. Before this process
 * does that, it copies the object for its own readers. Readers of other processes fail instead, and
 * never read a mixture of two versions.
 */
import type { ObjectExtent } from './record.ts'

/** An open reader of a finished object. */
export interface Pin {
  /** The object that is read, with its entity tag. */
  readonly extent: ObjectExtent
  /** Name of the copy to read from; null as long as the object itself can be read. */
  copy: string | null
}

/** The open readers of one object, and the replacements of it that are in progress. */
interface PinnedObject {
  readonly pins: Set<Pin>
  /**
   * Readers that are being opened: they may have read the entity tag of the object, and have no pin
   * yet.
   */
  readonly opening: Set<Promise<unknown>>
  /** Replacements and removals that are in progress. */
  readonly switches: Set<Promise<unknown>>
}

/** The open readers of this process, by the name of their object. */
export class Pins {
  readonly #objects = new Map<string, PinnedObject>()

  /**
   * Opens a reader with `work`. Waits for replacements in progress, because of this interleaving:
   *
   *     replacement                     reader
   *     copies the object for its pins
   *                                     reads the old entity tag, adds a pin
   *     removes the object: the new pin has no copy
   */
  async open<T>(name: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const { opening, switches } = this.#objectOf(name)
      if (switches.size === 0) return this.#during(name, opening, work())
      await Promise.allSettled(switches)
    }
  }

  /** Adds a pin for a reader. Called by the `work` of `open`. */
  add(name: string, extent: ObjectExtent): Pin {
    const pin: Pin = { extent, copy: null }
    this.#objectOf(name).pins.add(pin)
    return pin
  }

  /** Removes the pin of a reader that was closed. */
  remove(name: string, pin: Pin): void {
    this.#objectOf(name).pins.delete(pin)
    this.#tidy(name)
  }

  /**
   * Replaces or removes an object with `work`. If a reader of this process has the object open and
   * the bucket has no versioning, `copy` is called before: it copies the object and returns the
   * name of the copy.
   */
  async replace<T>(
    name: string,
    copy: (extent: ObjectExtent) => Promise<string>,
    work: () => Promise<T>,
  ): Promise<T> {
    const object = this.#objectOf(name)
    const whole = async (): Promise<T> => {
      await Promise.allSettled(object.opening)
      const pins = [...object.pins].filter(
        (pin) => pin.copy === null && pin.extent.versionId === null,
      )
      const [first] = pins
      if (first !== undefined) {
        const made = await copy(first.extent)
        for (const pin of pins) if (pin.extent.etag === first.extent.etag) pin.copy = made
      }
      return work()
    }
    return this.#during(name, object.switches, whole())
  }

  /** Keeps `work` in `set` until it has ended. */
  async #during<T>(name: string, set: Set<Promise<unknown>>, work: Promise<T>): Promise<T> {
    set.add(work)
    try {
      return await work
    } finally {
      set.delete(work)
      this.#tidy(name)
    }
  }

  #objectOf(name: string): PinnedObject {
    const object = this.#objects.get(name) ?? {
      pins: new Set(),
      opening: new Set(),
      switches: new Set(),
    }
    this.#objects.set(name, object)
    return object
  }

  /** Forgets an object without readers and replacements. */
  #tidy(name: string): void {
    const object = this.#objects.get(name)
    if (object === undefined) return
    if (object.pins.size + object.opening.size + object.switches.size === 0)
      this.#objects.delete(name)
  }
}
