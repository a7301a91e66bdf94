/**
 * Announces events to screen readers. Events of about the same time are joined, because a screen reader
 * interrupts the user for each announcement.
 */
import { formatCount } from './format.ts'

/** Time during which events are collected for one announcement, in milliseconds. */
const PAUSE = 1000

/** Announces texts by changing the text of an element with `role="status"`. */
export class Announcer {
  readonly #element: Element
  #texts: string[] = []
  #complete: string[] = []
  #isGathering = false

  constructor(element: Element) {
    this.#element = element
  }

  /** Announces a sentence. */
  say(text: string): void {
    this.#texts.push(text)
    this.#schedule()
  }

  /** Announces that a file is complete. For several files at a time, only their number is announced. */
  complete(name: string): void {
    this.#complete.push(name)
    this.#schedule()
  }

  #schedule(): void {
    if (!this.#isGathering) setTimeout(() => this.#speak(), PAUSE)
    this.#isGathering = true
  }

  #speak(): void {
    const [first, ...more] = this.#complete
    const count = formatCount(this.#complete.length)
    if (first !== undefined) {
      this.#texts.push(more.length === 0 ? `${first} is complete.` : `${count} are complete.`)
    }
    this.#element.textContent = [...new Set(this.#texts)].slice(0, 3).join(' ')
    this.#texts = []
    this.#complete = []
    this.#isGathering = false
  }
}
