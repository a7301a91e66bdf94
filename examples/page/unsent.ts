/**
 * Remembers the files that had not begun to upload when the page was closed or reloaded. The server has
 * not heard of them, and a page can't open files by itself. It shows their names, so that the user can
 * choose them again.
 */
import { find, setText } from './dom.ts'

const STORAGE_KEY = 'unsent'
/** Largest number of names in the note. More would push the uploads out of sight. */
const SHOWN = 3

/** The note about files that were not sent. Their paths are kept in the session storage of the tab. */
export class Unsent {
  readonly #note = find(document, '.unsent', HTMLElement)
  readonly #text = find(this.#note, 'p', HTMLElement)
  /** Paths from before the last reload, without those that the user has chosen again. */
  #earlier = read()
  /** The text in the storage, so that it is written only if it changes. */
  #stored = ''

  constructor() {
    find(this.#note, 'button', HTMLButtonElement).addEventListener('click', () => {
      this.#earlier = []
      this.update([], [])
    })
    this.#render()
  }

  /** Records the paths of the files that wait now, and of all files that the user has chosen. */
  update(waiting: readonly string[], chosen: readonly string[]): void {
    const known = new Set(chosen)
    const left = this.#earlier.filter((key) => !known.has(key))
    if (left.length < this.#earlier.length) this.#earlier = left
    const text = JSON.stringify([...new Set([...left, ...waiting])])
    if (text !== this.#stored) write(text)
    this.#stored = text
    this.#render()
  }

  /** Shows the note while files are missing. */
  #render(): void {
    const [first, ...others] = this.#earlier
    this.#note.hidden = first === undefined
    const names = [first, ...others].slice(0, SHOWN).join(', ')
    const more = this.#earlier.length - SHOWN
    const rest = more > 0 ? ` and ${more} more` : ''
    setText(this.#text, `Not sent before the page was closed: ${names}${rest}. Choose them again.`)
  }
}

/** Returns the stored paths. Anything could be stored under the key, such as a text of an older page. */
function read(): readonly string[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? '[]')
    return Array.isArray(value) ? value.filter((key) => typeof key === 'string') : []
  } catch {
    return []
  }
}

/** Stores a text. Best effort, because the user may have disabled storage for this page. */
function write(text: string): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, text)
  } catch {
    // Without storage the names are lost when the page is reloaded.
  }
}
