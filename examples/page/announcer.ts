/** Tells a screen reader what has happened, without talking all the time. */
import { formatCount } from './format.ts'

/** How long what happens is gathered, in milliseconds. */
const PAUSE = 1000

/** Speaks through an element with `role="status"`. */
export class Announcer {
  readonly #element: Element
  #texts: string[] = []
  #complete: string[] = []
  #isGathering = false

  constructor(element: Element) {
    this.#element = element
  }

  /** Says a sentence. */
  say(text: string): void {
    this.#texts.push(text)
    this.#schedule()
  }

  /** Says that a file is complete; of several at a time only how many. */
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
