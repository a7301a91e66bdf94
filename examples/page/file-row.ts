/** The row of a file in the list of files on the server. */
import { status } from 'partial-upload/client'

import { Buttons, type ButtonSpec } from './buttons.ts'
import { copyOf, find, setName, setText } from './dom.ts'
import { describeError } from './failure-words.ts'
import { formatDate, formatPart, formatPercent, formatSize } from './format.ts'
import { urlOf } from './file-picker.ts'
import type { ListedFile } from './listing.ts'
import { removeVersion } from './remove-version.ts'
import { Thumbnail } from './thumbnail.ts'

/** What a button does. */
type Action =
  /** Asks whether the file is to be deleted. */
  | 'delete'
  /** Deletes the file, as the answer to that question. */
  | 'confirm'
  | 'keep'
  /** Lets the user choose the file of an incomplete upload again, because a page can't open it. */
  | 'resume'

/** What the row is doing for the user. It does not come from the server. */
type State =
  | { readonly kind: 'idle' }
  /** The row asks whether the file is to be deleted. */
  | { readonly kind: 'asking' }
  | { readonly kind: 'deleting' }
  | { readonly kind: 'failed'; readonly error: unknown }

/** The events of a row. */
export interface FileRowListener {
  /** Called when the user wants to choose the file again, to resume its upload. */
  readonly onResume: (key: string) => void
  /** Called when the file was deleted from the server. */
  readonly onDelete: (key: string) => void
  /** Called when the user has selected the file, or has ended its selection. */
  readonly onSelect: (key: string, isSelected: boolean) => void
}

const IDLE: State = { kind: 'idle' }

/**
 * Shows a file, with a checkbox that selects it, a link to it, and a button that deletes it after a
 * question.
 */
export class FileRow {
  readonly element = copyOf('row')
  readonly #bar = find(this.element, 'progress', HTMLProgressElement)
  readonly #name = find(this.element, 'bdi', HTMLElement)
  readonly #line = find(this.element, '.line', HTMLElement)
  readonly #link = document.createElement('a')
  readonly #checkbox = document.createElement('input')
  readonly #thumbnail = new Thumbnail(this.element)
  readonly #buttons: Buttons<Action>
  readonly #listener: FileRowListener
  #file: ListedFile
  /** Whether the file has grown since the list before, because another client is sending it. */
  #isGrowing = false
  #state: State = IDLE

  constructor(file: ListedFile, listener: FileRowListener) {
    this.#file = file
    this.#listener = listener
    this.#buttons = new Buttons(find(this.element, '.actions', HTMLElement), (action) =>
      this.#act(action),
    )
    this.#checkbox.type = 'checkbox'
    this.#checkbox.ariaLabel = `Select ${file.key}`
    this.#checkbox.addEventListener('change', () => {
      listener.onSelect(file.key, this.#checkbox.checked)
    })
    find(this.element, '.lead', HTMLElement).prepend(this.#checkbox)
  }

  /** Path of the file. It does not change. */
  get key(): string {
    return this.#file.key
  }

  /** Takes over what the last list reports of the file. */
  follow(file: ListedFile): void {
    // The list is also rendered without a new answer of the server. Only a new answer shows whether the
    // file grows.
    if (file !== this.#file) this.#isGrowing = !file.complete && file.size > this.#file.size
    this.#file = file
  }

  /** Shows the file as it is now. */
  update(now: Date, isSelected: boolean): void {
    this.#checkbox.checked = isSelected
    this.#render(now)
  }

  #render(now: Date): void {
    const { key, size, length, complete, modified } = this.#file
    this.#renderName()
    // An incomplete image can't be shown yet. It counts as too large, and keeps its icon.
    this.#thumbnail.showUrl(urlOf(key), key, complete ? size : Infinity, `${modified} ${complete}`)
    this.element.dataset['state'] = complete ? 'complete' : 'incomplete'
    this.element.dataset['tone'] = this.#state.kind === 'failed' ? 'bad' : 'calm'
    this.#bar.hidden = complete || length === null
    this.#bar.value = length === null || length === 0 ? 0 : size / length
    this.#bar.ariaLabel = `Arrived of ${key}`
    setText(this.#line, this.#describe(now))
    this.#buttons.show(this.#actions(), key)
  }

  /**
   * Shows the name, as a link if the file is complete. An incomplete file would be downloaded without
   * its end. The name element is moved and not created again, so that a selection of its text stays.
   */
  #renderName(): void {
    const { key, complete } = this.#file
    const parent = find(this.element, '.name', HTMLElement)
    if (complete && this.#name.parentElement !== this.#link) {
      this.#link.href = urlOf(key)
      // The browser saves the file even if it could show it, and its name has no folders.
      this.#link.download = key.split('/').at(-1) ?? key
      this.#link.replaceChildren(this.#name)
      parent.replaceChildren(this.#link)
    }
    if (!complete) parent.replaceChildren(this.#name)
    setName(this.#name, key)
  }

  /** Returns the text below the name: the question or failure, or else the size and the date. */
  #describe(now: Date): string {
    const { size, length, complete, modified } = this.#file
    if (this.#state.kind === 'failed') return describeError(this.#state.error, this.#file.key)
    if (this.#state.kind === 'deleting') return 'Deleting…'
    if (this.#state.kind === 'asking') {
      return `Delete this file (${formatSize(size)})? It can't be undone.`
    }
    const date = formatDate(new Date(modified), now)
    if (complete) return `${formatSize(size)} · ${date}`
    const arrived =
      length === null
        ? `${formatSize(size)} arrived`
        : `${formatPercent(size, length)} arrived · ${formatPart(size, length)}`
    return `${arrived} · ${this.#isGrowing ? 'arriving now' : date}`
  }

  /**
   * Returns the buttons in their order. Keep is last, in the place of Delete…, so that a double click
   * on that button deletes nothing.
   */
  #actions(): readonly ButtonSpec<Action>[] {
    const { complete } = this.#file
    if (this.#state.kind === 'deleting') return []
    if (this.#state.kind === 'asking') {
      return [
        { action: 'confirm', label: 'Delete' },
        { action: 'keep', label: 'Keep' },
      ]
    }
    const ask = { action: 'delete', label: 'Delete…' } as const
    return complete ? [ask] : [{ action: 'resume', label: 'Choose again…' }, ask]
  }

  #act(action: Action): void {
    switch (action) {
      case 'delete':
        this.#set({ kind: 'asking' })
        // A second press of Enter must not delete the file either.
        this.#buttons.focus('keep')
        break
      case 'keep':
        this.#set(IDLE)
        this.#buttons.focus('delete')
        break
      case 'confirm':
        void this.delete()
        break
      case 'resume':
        this.#listener.onResume(this.#file.key)
        break
      default:
        action satisfies never
    }
  }

  /**
   * Deletes the file that the row shows, or shows why that is not possible; never rejects. If another
   * client has replaced or changed the file since the list was loaded, the user has not seen that
   * version, and it is not deleted.
   */
  async delete(): Promise<void> {
    this.#set({ kind: 'deleting' })
    try {
      const { size, complete } = this.#file
      const url = urlOf(this.#file.key)
      const there = await status(url, { retries: 2 })
      // An incomplete file grows while another client sends it, so that its size does not count.
      const isSame = there?.complete === complete && (!complete || there.size === size)
      if (there !== null && !isSame)
        throw new Error('The file on the server has changed since it was listed')
      if (there !== null) await removeVersion(url, there)
      this.#listener.onDelete(this.#file.key)
    } catch (error) {
      this.#set({ kind: 'failed', error })
    }
  }

  #set(state: State): void {
    this.#state = state
    this.#render(new Date())
  }
}
