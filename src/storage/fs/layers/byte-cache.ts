/** A cache that is limited by the memory of its values, in bytes. */

interface Entry<T> {
  readonly value: T
  readonly bytes: number
}

/** Forgets the values that were used longest ago. */
export class ByteCache<T> {
  readonly #entries = new Map<string, Entry<T>>()
  readonly #most: number
  #bytes = 0

  /** Keeps at most `most` bytes. */
  constructor(most: number) {
    this.#most = most
  }

  /** Returns the value, which becomes the last one to be forgotten; undefined if it is not kept. */
  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Keeps a value of `bytes` bytes, to which the memory of the key is added. */
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
