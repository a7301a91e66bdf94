/** How much one request may carry: it shrinks where the way to the server does not bear more. */
import type { Problem } from './error.ts'

/** A guess after the first trouble; proxies commonly take less, and it is halved from there. */
const FIRST_LIMIT = 8 * 1024 * 1024
/** Less than this may get lost in the buffers of a broken connection. */
const LEAST_LOSS = 64 * 1024

/** Remembers for the rest of an upload what has got through. */
export class SegmentLimit {
  #size: number
  #attempt: { readonly start: number; sent: number } | null = null

  constructor(size: number) {
    this.#size = size
  }

  /** Most bytes of the source in one request. */
  get size(): number {
    return this.#size
  }

  /** A segment is on its way. */
  send(start: number): void {
    this.#attempt = { start, sent: 0 }
  }

  /** So much of it has left. */
  sent(size: number): void {
    if (this.#attempt !== null) this.#attempt.sent = size
  }

  /** The segment was answered. */
  answered(): void {
    this.#attempt = null
  }

  /**
   * After an attempt without an answer, the server says where it stands. If nothing of what was sent
   * has arrived, something on the way holds requests back until they are whole.
   */
  look(position: number): void {
    const attempt = this.#attempt
    this.#attempt = null
    if (position !== attempt?.start || attempt.sent < LEAST_LOSS) return
    this.#shrink(Math.max(LEAST_LOSS, Math.floor(attempt.sent / 2)))
  }

  /** After a 413 for so many bytes. Returns false if no smaller segment makes sense. */
  refuse(size: number, headerSize: number, problem: Problem | null): boolean {
    const limit = Number(problem?.['limit']) - headerSize
    // A limit that this segment kept to is not the one that was meant.
    const next = Math.floor(limit < size ? limit : size / 2)
    if (next < 1) return false
    this.#shrink(next)
    return true
  }

  #shrink(size: number): void {
    this.#size = Math.min(this.#size, size, FIRST_LIMIT)
  }
}
