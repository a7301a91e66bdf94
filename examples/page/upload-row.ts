/** The row of an upload in the list. */
import { Buttons } from './buttons.ts'
import { copyOf, find, setName, setText } from './dom.ts'
import type { UploadItem } from './upload-item.ts'
import { Thumbnail } from './thumbnail.ts'
import { actionsOf, describe, labelOf, toneOf, type Action } from './labels.ts'

/**
 * Shows an upload, and reports which of its buttons was pressed. What a button does is not decided here,
 * because the buttons for all uploads do the same.
 */
export class UploadRow {
  readonly element = copyOf('row')
  readonly #item: UploadItem
  readonly #name = find(this.element, 'bdi', HTMLElement)
  readonly #bar = find(this.element, 'progress', HTMLProgressElement)
  readonly #line = find(this.element, '.line', HTMLElement)
  readonly #buttons: Buttons<Action>

  constructor(item: UploadItem, onAction: (action: Action, item: UploadItem) => void) {
    this.#item = item
    // Rows exist only for the uploads that are shown, so that no other images are decoded.
    new Thumbnail(this.element).showFile(item.file)
    this.#buttons = new Buttons(find(this.element, '.actions', HTMLElement), (action) => {
      onAction(action, item)
      // The question whether to keep the stored part is new. Its harmless answer gets the focus.
      if (action === 'cancel' && item.state.kind === 'stopped') this.#buttons.focus('keep')
    })
  }

  /** Shows the present state. `now` is a time of `performance.now()`. */
  render(now: number): void {
    const { key, state, file, progress } = this.#item
    setName(this.#name, key)
    setText(this.#line, describe(this.#item, now))
    this.element.dataset['tone'] = toneOf(state)
    this.element.dataset['state'] = state.kind
    // An empty bar would look like an upload that has stalled.
    const isEmpty = ['queued', 'failed'].includes(state.kind) && progress.sent === 0
    this.#bar.hidden = state.kind === 'done' || state.kind === 'clash' || isEmpty
    this.#bar.value = file.size === 0 ? 0 : progress.sent / file.size
    this.#bar.ariaLabel = `Progress of ${key}`
    const actions = actionsOf(this.#item).map((action) => ({ action, label: labelOf(action) }))
    this.#buttons.show(actions, key)
  }
}
