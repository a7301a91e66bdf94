/** The rate of all uploads together. A small file is complete before it has a rate of its own. */

/** Length of the time that the rate is averaged over, in milliseconds. */
const MEMORY = 5000
/** Shortest time over which a rate is measured, in milliseconds. */
const LEAST = 1000

/** Computes the rate from samples of the number of bytes that have moved. */
export class Pace {
  #looks: readonly { readonly time: number; readonly moved: number }[] = []

  /** Adds a sample, and returns the rate in bytes per second. Null for the first second. */
  measure(moved: number, time: number): number | null {
    this.#looks = [...this.#looks.filter((look) => time - look.time < MEMORY), { time, moved }]
    const [first] = this.#looks
    if (first === undefined || time - first.time < LEAST) return null
    return ((moved - first.moved) / (time - first.time)) * 1000
  }
}
