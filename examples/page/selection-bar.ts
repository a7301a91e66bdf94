/** What the user can do with the selected files: copy their links, or delete them after a question. */
import { Buttons, type ButtonSpec } from './buttons.ts'
import { find, setText } from './dom.ts'
import { formatCount, formatSize } from './format.ts'
import { urlOf } from './file-picker.ts'
import type { ListedFile } from './listing.ts'

/** What a button does. `keep` and `confirm` answer the question whether to delete. */
type Action = 'delete' | 'copy' | 'clear' | 'keep' | 'confirm'

/** The events of the bar. */
export interface SelectionListener {
  /** Deletes files. Resolves when each has been deleted, or shows why not. */
  readonly onDelete: (files: readonly ListedFile[]) => Promise<void>
  readonly onClear: () => void
  /** Called with a sentence to announce. */
  readonly onSay: (text: string) => void
}

/**
 * Shows the number of the selected files, and buttons for all of them. It holds no selection of its own:
 * the list passes the selected files each time, because files may vanish meanwhile.
 */
export class SelectionBar {
  readonly #root: HTMLElement
  readonly #text: HTMLElement
  readonly #buttons: Buttons<Action>
  readonly #listener: SelectionListener
  #files: readonly ListedFile[] = []
  #state: 'idle' | 'asking' | 'deleting' = 'idle'
  /** What the last action has led to, such as `Copied 2 links`. */
  #result = ''

  constructor(root: HTMLElement, listener: SelectionListener) {
    this.#root = root
    this.#text = find(root, 'p', HTMLElement)
    this.#listener = listener
    const actions = find(root, '.actions', HTMLElement)
    this.#buttons = new Buttons(actions, (action) => void this.#act(action))
  }

  /** Shows the selected files. */
  render(files: readonly ListedFile[]): void {
    const keys = (list: readonly ListedFile[]): string => list.map(({ key }) => key).join('\n')
    if (keys(files) !== keys(this.#files)) {
      this.#result = ''
      // The question was about other files, so that its answer must not delete these.
      if (this.#state === 'asking') this.#state = 'idle'
    }
    this.#files = files
    this.#root.hidden = files.length === 0
    setText(this.#text, this.#describe())
    this.#buttons.show(this.#actions(), formatCount(files.length))
  }

  /** Returns the text beside the buttons: the question, the result, or else the number of files. */
  #describe(): string {
    const count = formatCount(this.#files.length)
    const size = formatSize(this.#files.reduce((sum, file) => sum + file.size, 0))
    if (this.#state === 'asking') return `Delete ${count} (${size})? It can't be undone.`
    if (this.#state === 'deleting') return `Deleting ${count}…`
    return this.#result || `${count} selected · ${size}`
  }

  /**
   * Returns the buttons in their order. A double click on Delete… hits Keep, which is in the same
   * place in the next state.
   */
  #actions(): readonly ButtonSpec<Action>[] {
    if (this.#state === 'deleting') return []
    if (this.#state === 'asking') {
      return [
        { action: 'keep', label: 'Keep' },
        { action: 'confirm', label: 'Delete' },
      ]
    }
    const links = this.#links().length
    const copy = { action: 'copy', label: links === 1 ? 'Copy link' : 'Copy links' } as const
    return [
      { action: 'delete', label: 'Delete…' },
      // Pages that were loaded over plain HTTP from another machine have no clipboard.
      ...(links > 0 && isSecureContext ? [copy] : []),
      { action: 'clear', label: 'Clear' },
    ]
  }

  /** Does what a button says. Never rejects, because nothing awaits it. */
  async #act(action: Action): Promise<void> {
    switch (action) {
      case 'delete':
        this.#set('asking')
        this.#buttons.focus('keep')
        break
      case 'keep':
        this.#set('idle')
        this.#buttons.focus('delete')
        break
      case 'confirm':
        this.#set('deleting')
        // The list becomes shorter during the deletion. These files stay the ones to delete.
        await this.#listener.onDelete(this.#files)
        this.#set('idle')
        break
      case 'copy':
        await this.#copy()
        break
      case 'clear':
        this.#listener.onClear()
        break
      default:
        action satisfies never
    }
  }

  /** Returns the links of the complete files. An incomplete one has nothing to download yet. */
  #links(): readonly string[] {
    return this.#files.filter(({ complete }) => complete).map(({ key }) => urlOf(key))
  }

  /** Copies the links, one in each line, so that they can be pasted into a mail or a script. */
  async #copy(): Promise<void> {
    const links = this.#links()
    // The browser asks the user first, or refuses without asking.
    const isCopied = await navigator.clipboard.writeText(links.join('\n')).then(
      () => true,
      () => false,
    )
    this.#result = isCopied
      ? `Copied ${formatCount(links.length, 'link')}`
      : 'The browser does not let the page copy'
    this.#listener.onSay(`${this.#result}.`)
    this.render(this.#files)
  }

  #set(state: 'idle' | 'asking' | 'deleting'): void {
    this.#state = state
    this.render(this.#files)
  }
}
