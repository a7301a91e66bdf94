/** The buttons of a row, which change with its state. */

import { keepFocus } from './dom.ts'

/** A button to show. */
export interface ButtonSpec<Action extends string> {
  readonly action: Action
  readonly label: string
}

/**
 * The buttons of one row. Each row has its own instance, because the buttons of a row change while those
 * of the others stay.
 */
export class Buttons<Action extends string> {
  readonly #root: Element
  readonly #onAction: (action: Action) => void
  #shown: readonly ButtonSpec<Action>[] = []

  constructor(root: Element, onAction: (action: Action) => void) {
    this.#root = root
    this.#onAction = onAction
  }

  /**
   * Shows buttons for the file `name`. The elements are reused by their position, so that a button
   * keeps the focus when its meaning changes, for example from Pause to Resume.
   */
  show(specs: readonly ButtonSpec<Action>[], name: string): void {
    this.#shown = specs
    // If the focused button is removed, its row or bar gets the focus. Otherwise a keyboard user would
    // start again at the top of the page.
    keepFocus(this.#root, this.#root.closest<HTMLElement>('[tabindex]'), () => this.#update(name))
  }

  #update(name: string): void {
    const specs = this.#shown
    while (this.#root.children.length < specs.length) this.#root.append(this.#create())
    for (const [index, button] of [...this.#root.children].entries()) {
      const spec = specs[index]
      if (spec === undefined) {
        button.remove()
        continue
      }
      if (button.textContent !== spec.label) button.textContent = spec.label
      // Without the name, a screen reader would list the same few words for each of the rows.
      button.setAttribute('aria-label', `${spec.label} ${name}`)
      button.setAttribute('data-action', spec.action)
    }
  }

  /** Moves the focus to a button. */
  focus(action: Action): void {
    const button = this.#root.children[this.#shown.findIndex((spec) => spec.action === action)]
    if (button instanceof HTMLElement) button.focus()
  }

  #create(): HTMLButtonElement {
    const button = document.createElement('button')
    button.type = 'button'
    button.addEventListener('click', () => {
      // The meaning of the button at the time of the click counts, not that at its creation.
      const spec = this.#shown[[...this.#root.children].indexOf(button)]
      if (spec !== undefined) this.#onAction(spec.action)
    })
    return button
  }
}
