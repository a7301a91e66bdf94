/** The list of the files on the server, which can be searched, sorted and selected. */
import { find, keepFocus, sectionOf, setChildren, setText } from './dom.ts'
import { arrange } from './file-order.ts'
import { FileRow, type FileRowListener } from './file-row.ts'
import { formatCount, formatSize } from './format.ts'
import type { Listing, ListedFile } from './listing.ts'
import { SelectionBar } from './selection-bar.ts'
import { Turns } from './turns.ts'

/** Number of files that are shown until the user asks for more. */
const FIRST = 20
/** Number of files that are deleted at the same time. The browser also needs connections for uploads. */
const DELETED_AT_A_TIME = 3

/** The events of the list. */
export interface FilesListener extends Pick<FileRowListener, 'onResume' | 'onDelete'> {
  /** Called with a sentence to announce. */
  readonly onSay: (text: string) => void
}

/** Shows the files. */
export class FilesSection {
  readonly #section = sectionOf('files')
  readonly #outage = find(this.#section.root, '.outage', HTMLElement)
  readonly #empty = find(this.#section.root, '.empty', HTMLElement)
  readonly #tools = find(this.#section.root, '.tools', HTMLElement)
  readonly #all = find(this.#tools, '[type=checkbox]', HTMLInputElement)
  readonly #search = find(this.#tools, '[type=search]', HTMLInputElement)
  readonly #order = find(this.#tools, 'select', HTMLSelectElement)
  readonly #bar: SelectionBar
  /** Rows by path. They are created when they are first shown, because a list may have thousands. */
  readonly #rows = new Map<string, FileRow>()
  /** Paths of the selected files. The list is fetched anew all the time, but paths stay. */
  readonly #selected = new Set<string>()
  readonly #turns = new Turns(DELETED_AT_A_TIME)
  readonly #listener: FileRowListener
  /** The files of the last list that no upload covers. */
  #files: readonly ListedFile[] = []
  #isUnfolded = false

  constructor({ onResume, onDelete, onSay }: FilesListener) {
    this.#listener = { onResume, onDelete, onSelect: (key, is) => this.#select([key], is) }
    this.#bar = new SelectionBar(find(this.#section.root, '.selected', HTMLElement), {
      onDelete: async (files) => this.#delete(files),
      onClear: () => this.#select([...this.#selected], false),
      onSay,
    })
    this.#search.addEventListener('input', () => this.#show())
    this.#order.addEventListener('change', () => this.#show())
    this.#all.addEventListener('change', () => {
      // This also selects the files beyond the fold. The bar shows the number of files before any button
      // is pressed.
      this.#select(
        this.#found().map(({ key }) => key),
        this.#all.checked,
      )
    })
    this.#section.fold.addEventListener('click', () => {
      this.#isUnfolded = !this.#isUnfolded
      this.#show()
    })
  }

  /**
   * Shows the list. Files for which `isCovered` returns true are left out, because their uploads show
   * them.
   */
  render({ files, isReachable }: Listing, isCovered: (file: ListedFile) => boolean): void {
    this.#outage.hidden = isReachable
    // Before the first answer it is not known whether there are files.
    if (files === null) return
    this.#files = files.filter((file) => !isCovered(file))
    const keys = new Set(this.#files.map(({ key }) => key))
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key)
    for (const key of this.#selected) if (!keys.has(key)) this.#selected.delete(key)
    this.#show()
  }

  /** Shows the files of the last list, as the search, the order and the selection are now. */
  #show(): void {
    const { root, list, heading, fold } = this.#section
    const found = this.#found()
    const shown = this.#isUnfolded ? found : found.slice(0, FIRST)
    const now = new Date()
    keepFocus(root, heading, () => {
      const rows = shown.map((file) => this.#rowOf(file))
      for (const row of rows) row.update(now, this.#selected.has(row.key))
      setChildren(
        list,
        rows.map(({ element }) => element),
      )
      this.#showTools(found)
      fold.hidden = found.length <= FIRST
    })
    setText(fold, this.#isUnfolded ? 'Show fewer' : `Show ${found.length - FIRST} more`)
    this.#empty.hidden = found.length > 0
    setText(this.#empty, this.#describeEmpty())
    setText(this.#section.summary, this.#summarise(found))
  }

  /** Shows the tools for several files, and those for the selected ones. */
  #showTools(found: readonly ListedFile[]): void {
    // Files that the search does not find are not shown, so that the buttons must not change them.
    const selected = found.filter(({ key }) => this.#selected.has(key))
    // A search that finds one file must not take away the field in which it was typed.
    this.#tools.hidden = this.#files.length < 2 && this.#search.value === ''
    this.#all.checked = selected.length > 0 && selected.length === found.length
    this.#all.indeterminate = selected.length > 0 && !this.#all.checked
    this.#bar.render(selected)
  }

  /** Returns the files that the search finds, in the chosen order. */
  #found(): readonly ListedFile[] {
    return arrange(this.#files, this.#search.value, this.#order.value)
  }

  /**
   * Returns the row of a file. A row that exists is used again, because it may show a question or have
   * the focus.
   */
  #rowOf(file: ListedFile): FileRow {
    const row = this.#rows.get(file.key) ?? new FileRow(file, this.#listener)
    this.#rows.set(file.key, row)
    row.follow(file)
    return row
  }

  /** Selects files by their paths, or ends their selection. */
  #select(keys: readonly string[], isSelected: boolean): void {
    for (const key of keys) {
      if (isSelected) this.#selected.add(key)
      else this.#selected.delete(key)
    }
    this.#show()
  }

  /**
   * Deletes files by their rows, which show why one can't be deleted. Its file stays selected, so that
   * the user can try again.
   */
  async #delete(files: readonly ListedFile[]): Promise<void> {
    // Nothing aborts the deletions: half of them would be hard to explain, and each is short.
    const { signal } = new AbortController()
    const rows = files.map((file) => this.#rowOf(file))
    await Promise.all(rows.map(async (row) => this.#turns.run(signal, async () => row.delete())))
  }

  #describeEmpty(): string {
    return this.#files.length === 0 ? 'No files yet.' : 'No file has such a name.'
  }

  /** Returns the number and the size of the files that are found. */
  #summarise(found: readonly ListedFile[]): string {
    if (this.#files.length === 0) return ''
    const size = formatSize(found.reduce((sum, file) => sum + file.size, 0))
    const count = formatCount(this.#files.length)
    const isAll = found.length === this.#files.length
    return `${isAll ? count : `${found.length} of ${count}`} · ${size}`
  }
}
