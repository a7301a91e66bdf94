/** The uploads of this tab. */
import type { Chosen } from './file-picker.ts'
import type { ListedFile } from './listing.ts'
import { Turns } from './turns.ts'
import { UploadItem, type ItemListener } from './upload-item.ts'

/**
 * Number of uploads at a time. More would share the same bandwidth, and would use up the connections of
 * the browser that the page needs for its list.
 */
const AT_A_TIME = 3

/** The uploads, in the order in which the user has chosen the files. */
export class Uploads {
  readonly #items = new Set<UploadItem>()
  readonly #turns = new Turns(AT_A_TIME)
  readonly #listener: ItemListener
  #moved = 0

  constructor({ onChange, onDrop }: Pick<ItemListener, 'onChange' | 'onDrop'>) {
    this.#listener = {
      onChange,
      onMove: (size) => {
        this.#moved += size
      },
      onDrop: (item) => {
        this.#items.delete(item)
        onDrop(item)
      },
      hasRival: ({ key }) => this.#unfinished(key).length > 1,
    }
  }

  get items(): readonly UploadItem[] {
    return [...this.#items]
  }

  /** Number of bytes that have moved since the page was opened. */
  get moved(): number {
    return this.#moved
  }

  /**
   * Starts the uploads of files. If a file already has an upload in the list, that upload resumes
   * instead.
   */
  add(chosen: readonly Chosen[]): void {
    for (const one of chosen) {
      const known = this.items.find((item) => item.isFile(one))
      if (known === undefined || known.state.kind === 'done') this.#begin(one, known)
      else if (['paused', 'stopped', 'failed'].includes(known.state.kind)) known.start()
    }
  }

  /** Uploads a file under a free name, because the server has a different file under its own. */
  async keepBoth(item: UploadItem): Promise<void> {
    await item.keepBoth((key) => this.items.some((other) => other.key === key))
  }

  /**
   * Whether the list of files should leave out a file, because an upload shows it. This also holds if
   * the upload was completed after `askedAt`, the time of the request for the list (as of
   * `performance.now()`), because the list then still has it as incomplete. A different file of the
   * same name, with which an upload clashes, is shown.
   */
  covers({ key, complete }: ListedFile, askedAt: number): boolean {
    return this.items.some((item) => {
      if (item.key !== key || item.state.kind === 'clash') return false
      return item.state.kind !== 'done' || (!complete && askedAt < item.movedAt)
    })
  }

  /** Removes complete uploads of a file from the list, because the file was deleted from the server. */
  forget(key: string): void {
    for (const item of this.items) if (item.key === key && item.state.kind === 'done') item.drop()
  }

  #unfinished(key: string): readonly UploadItem[] {
    return this.items.filter((item) => item.key === key && item.state.kind !== 'done')
  }

  #begin(chosen: Chosen, previous: UploadItem | undefined): void {
    previous?.drop()
    const item = new UploadItem(chosen, this.#turns, this.#listener)
    this.#items.add(item)
    item.start()
  }
}
