/** The rate of all uploads together. A small file is complete before it has a rate of its own. */

/**
 * Time after which a sample has lost 63% of its weight, in milliseconds. A shorter time would make the
 * remaining time jump with each small file, and a longer one would hide that the network has changed.
 */
const MEMORY = 6000
/** Shortest time of a sample, in milliseconds. Shorter ones mostly measure the buffers. */
const LEAST = 250
/** Time that has to be measured before there is a rate, in milliseconds. */
const ENOUGH = 1000

/** Computes the rate as an exponentially weighted moving average. */
export class Pace {
  #time: number | null = null
  #moved = 0
  #sum = 0
  #weight = 0
  #measured = 0

  /**
   * Adds a sample of the number of bytes that have moved, and returns the rate in bytes per second.
   * Null until there are samples of one second.
   */
  measure(moved: number, time: number): number | null {
    const passed = time - (this.#time ?? time)
    if (passed >= LEAST) {
      const share = 1 - Math.exp(-passed / MEMORY)
      const rate = ((moved - this.#moved) / passed) * 1000
      this.#sum += share * (rate - this.#sum)
      this.#weight += share * (1 - this.#weight)
      this.#measured += passed
    }
    if (passed >= LEAST || this.#time === null) {
      this.#time = time
      this.#moved = moved
    }
    // The average begins at 0. Dividing by the weight of the samples removes this bias.
    return this.#measured < ENOUGH ? null : this.#sum / this.#weight
  }

  /** Forgets all samples, because nothing is uploaded. The pause would count as a slow network. */
  reset(): void {
    this.#time = null
    this.#sum = 0
    this.#weight = 0
    this.#measured = 0
  }
}
