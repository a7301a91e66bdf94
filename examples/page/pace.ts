/** How fast all uploads are together: many small ones have no rate of their own. */

/** How far back is looked, in milliseconds. */
const MEMORY = 5000
/** Least time over which a rate is measured, in milliseconds. */
const LEAST = 1000

/** Measures from looks at how much has moved. */
export class Pace {
  #looks: readonly { readonly time: number; readonly moved: number }[] = []

  /** Bytes per second, averaged over some seconds; null before the first measurement. */
  measure(moved: number, time: number): number | null {
    this.#looks = [...this.#looks.filter((look) => time - look.time < MEMORY), { time, moved }]
    const [first] = this.#looks
    if (first === undefined || time - first.time < LEAST) return null
    return ((moved - first.moved) / (time - first.time)) * 1000
  }
}
