/**
 * Files that had not begun when the page was closed. The server knows nothing of them, and a page can't
 * open them again by itself: it shows their names.
 */
import { find, setText } from './dom.ts'

const STORAGE_KEY = 'unsent'
/** Number of names that are shown. */
const SHOWN = 3

/** Remembers the paths of files that have not begun, for this tab. */
export class Unsent {
  readonly #note = find(document, '.unsent', HTMLElement)
  readonly #text = find(this.#note, 'p', HTMLElement)
  /** Of the page before the last reload, unless they were chosen again. */
  #earlier = read()
  #stored = ''

  constructor() {
    find(this.#note, 'button', HTMLButtonElement).addEventListener('click', () => {
      this.#earlier = []
      this.update([], [])
    })
    this.#render()
  }

  /** Records which files wait now, and which were chosen. */
  update(waiting: readonly string[], chosen: readonly string[]): void {
    const known = new Set(chosen)
    const left = this.#earlier.filter((key) => !known.has(key))
    if (left.length < this.#earlier.length) this.#earlier = left
    const text = JSON.stringify([...new Set([...left, ...waiting])])
    if (text !== this.#stored) write(text)
    this.#stored = text
    this.#render()
  }

  #render(): void {
    const [first, ...others] = this.#earlier
    this.#note.hidden = first === undefined
    const names = [first, ...others].slice(0, SHOWN).join(', ')
    const more = this.#earlier.length - SHOWN
    const rest = more > 0 ? ` and ${more} more` : ''
    setText(this.#text, `Not sent before the page was closed: ${names}${rest}. Choose them again.`)
  }
}

function read(): readonly string[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? '[]')
    return Array.isArray(value) ? value.filter((key) => typeof key === 'string') : []
  } catch {
    return []
  }
}

/** Best effort: a browser may have no storage for this page. */
function write(text: string): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, text)
  } catch {
    // The names are then gone after a reload.
  }
}
