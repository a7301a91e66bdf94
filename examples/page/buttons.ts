/** The buttons of a row, which change with what it is at. */

import { keepFocus } from './dom.ts'

/** A button to show. */
export interface ButtonSpec<Action extends string> {
  readonly action: Action
  readonly label: string
}

/** The buttons of one row. */
export class Buttons<Action extends string> {
  readonly #root: Element
  readonly #onAction: (action: Action) => void
  #shown: readonly ButtonSpec<Action>[] = []

  constructor(root: Element, onAction: (action: Action) => void) {
    this.#root = root
    this.#onAction = onAction
  }

  /**
   * Shows these, for the thing of this name. A button that stays in its place stays the same element,
   * so that it keeps the focus: Pause becomes Resume under the finger.
   */
  show(specs: readonly ButtonSpec<Action>[], name: string): void {
    this.#shown = specs
    // A button that is gone leaves the focus to its row.
    keepFocus(this.#root, this.#root.closest('li'), () => this.#update(name))
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
      const spec = this.#shown[[...this.#root.children].indexOf(button)]
      if (spec !== undefined) this.#onAction(spec.action)
    })
    return button
  }
}
