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

/**
 * The uploads, in the order in which the user has chosen the files.
 *
 * They use `upload` of the client and not `uploadAll`, which shares one set of options and fixed URLs
 * among its files. Here the user decides about each file: to replace another one, to get a free name, or
 * to keep a stored part. And a file must not take one of the turns while another tab sends it. A file of
 * at most 64 KiB takes one request either way.
 */
export class Uploads {
  #items: readonly UploadItem[] = []
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
        this.#items = this.#items.filter((other) => other !== item)
        onDrop(item)
      },
      hasRival: ({ key }) => this.#unfinished(key).length > 1,
    }
  }

  get items(): readonly UploadItem[] {
    return this.#items
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
   * Returns whether the list of files should leave out a file, because an upload shows it. This also
   * holds if the upload was completed after `askedAt`, the time of the request for the list (as of
   * `performance.now()`), because the list then still has it as incomplete. A different file of the
   * same name, with which an upload clashes, is shown.
   */
  coverage(askedAt: number): (file: ListedFile) => boolean {
    const shown = this.items.filter(({ state }) => state.kind !== 'clash')
    const isDone = ({ state }: UploadItem): boolean => state.kind === 'done'
    const keysOf = (items: readonly UploadItem[]): Set<string> =>
      new Set(items.map(({ key }) => key))
    const unfinished = keysOf(shown.filter((item) => !isDone(item)))
    const justDone = keysOf(shown.filter((item) => isDone(item) && askedAt < item.movedAt))
    return ({ key, complete }) => unfinished.has(key) || (!complete && justDone.has(key))
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
    this.#items = [...this.#items, item]
    item.start()
  }
}
