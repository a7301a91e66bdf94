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
  /** Names of files by the adjective that is announced of them. */
  readonly #groups = new Map<string, string[]>()
  #isGathering = false

  constructor(element: Element) {
    this.#element = element
  }

  /** Announces a sentence. */
  say(text: string): void {
    this.#texts.push(text)
    this.#schedule()
  }

  /**
   * Announces that a file is `complete` or `deleted`. For several files at a time, only their number is
   * announced.
   */
  sayOf(name: string, adjective: 'complete' | 'deleted'): void {
    this.#groups.set(adjective, [...(this.#groups.get(adjective) ?? []), name])
    this.#schedule()
  }

  #schedule(): void {
    if (!this.#isGathering) setTimeout(() => this.#speak(), PAUSE)
    this.#isGathering = true
  }

  #speak(): void {
    for (const [adjective, names] of this.#groups) {
      const subject = names.length === 1 ? `${names[0]} is` : `${formatCount(names.length)} are`
      this.#texts.push(`${subject} ${adjective}.`)
    }
    this.#element.textContent = [...new Set(this.#texts)].slice(0, 3).join(' ')
    this.#texts = []
    this.#groups.clear()
    this.#isGathering = false
  }
}
