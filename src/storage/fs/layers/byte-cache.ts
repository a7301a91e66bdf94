/**
 * A cache whose limit is the memory of its values in bytes, because the values differ much in size.
 */

/** A value with the memory that it and its key occupy. */
interface Entry<T> {
  readonly value: T
  readonly bytes: number
}

/** Keeps values by a key. Drops the values that were used longest ago when it is full. */
export class ByteCache<T> {
  readonly #entries = new Map<string, Entry<T>>()
  readonly #most: number
  #bytes = 0

  /** @param most number of bytes that all values and keys may occupy together */
  constructor(most: number) {
    this.#most = most
  }

  /**
   * Returns the value, which now counts as the one used last; undefined if the cache does not have
   * it.
   */
  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /**
   * Adds a value that occupies `bytes` bytes. The memory of the key and of the entry is added to
   * that.
   */
  set(key: string, value: T, bytes: number): void {
    this.#forget(key)
    const all = bytes + 2 * key.length + 100
    this.#entries.set(key, { value, bytes: all })
    this.#bytes += all
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#most) return
      this.#forget(oldest)
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }
}
