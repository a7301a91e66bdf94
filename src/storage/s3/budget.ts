/**
 * Counts the memory that all writers of a storage use for bytes that are not yet in the object
 * store.
 */

/**
 * Counts bytes in memory. It does not refuse any: while the limit is exceeded, writers store their
 * bytes earlier.
 */
export class MemoryBudget {
  readonly #limit: number
  #used = 0

  /** @param limit number of bytes */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether more bytes are in memory than the limit allows. */
  get isExceeded(): boolean {
    return this.#used > this.#limit
  }

  /** Counts `length` bytes that a writer now holds in memory. */
  add(length: number): void {
    this.#used += length
  }

  /** Stops counting `length` bytes that a writer has stored or dropped. */
  free(length: number): void {
    this.#used -= length
  }
}
