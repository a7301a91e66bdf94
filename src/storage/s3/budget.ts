/** The memory that all uploads of a process may use together for bytes that are not yet stored. */

/** Counts bytes in memory. It refuses nothing: a writer that is over the budget stores its bytes earlier. */
export class MemoryBudget {
  readonly #limit: number
  #used = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether more bytes are in memory than the budget has. */
  get isExceeded(): boolean {
    return this.#used > this.#limit
  }

  /** Counts `length` bytes more. */
  add(length: number): void {
    this.#used += length
  }

  /** Counts `length` bytes less. */
  free(length: number): void {
    this.#used -= length
  }
}
