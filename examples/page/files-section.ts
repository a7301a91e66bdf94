/** The list of the files on the server. */
import { find, keepFocus, sectionOf, setChildren, setText } from './dom.ts'
import { FileRow, type FileRowListener } from './file-row.ts'
import { formatCount, formatSize } from './format.ts'
import type { Listing, ListedFile } from './listing.ts'

/** Number of files that are shown until the user asks for more. */
const FIRST = 20

/** Shows the files. */
export class FilesSection {
  readonly #section = sectionOf('files')
  readonly #outage = find(this.#section.root, '.outage', HTMLElement)
  readonly #empty = find(this.#section.root, '.empty', HTMLElement)
  readonly #rows = new Map<string, FileRow>()
  readonly #listener: FileRowListener
  #isUnfolded = false
  #render = (): void => undefined

  constructor(listener: FileRowListener) {
    this.#listener = listener
    this.#section.fold.addEventListener('click', () => {
      this.#isUnfolded = !this.#isUnfolded
      this.#render()
    })
  }

  /**
   * Shows the list. Files for which `isCovered` returns true are left out, because their uploads show
   * them.
   */
  render(listing: Listing, isCovered: (file: ListedFile) => boolean): void {
    this.#render = () => this.#show(listing, isCovered)
    this.#render()
  }

  #show({ files, isReachable }: Listing, isCovered: (file: ListedFile) => boolean): void {
    this.#outage.hidden = isReachable
    if (files === null) return
    const others = files.filter((file) => !isCovered(file))
    const shown = this.#isUnfolded ? others : others.slice(0, FIRST)
    this.#renderList(shown)
    this.#empty.hidden = others.length > 0
    this.#section.fold.hidden = others.length <= FIRST
    setText(
      this.#section.fold,
      this.#isUnfolded ? 'Show fewer' : `Show ${others.length - FIRST} more`,
    )
    const size = others.reduce((sum, file) => sum + file.size, 0)
    const count = `${formatCount(others.length)} · ${formatSize(size)}`
    setText(this.#section.summary, others.length === 0 ? '' : count)
  }

  #renderList(files: readonly ListedFile[]): void {
    const now = new Date()
    const keys = new Set(files.map(({ key }) => key))
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key)
    const elements = files.map((file) => {
      const row = this.#rows.get(file.key) ?? new FileRow(file, this.#listener)
      this.#rows.set(file.key, row)
      row.update(file, now)
      return row.element
    })
    const { list, heading } = this.#section
    keepFocus(list, heading, () => setChildren(list, elements))
  }
}
