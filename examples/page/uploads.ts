/** All uploads of this tab. */
import type { Chosen } from './file-picker.ts'
import type { ListedFile } from './listing.ts'
import { Turns } from './turns.ts'
import { UploadItem, type ItemListener } from './upload-item.ts'

/** Uploads at a time. More would only share the same line, and crowd out the page's own questions. */
const AT_A_TIME = 3

/** The uploads, in the order in which they were chosen. */
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

  /** Bytes that have moved since the page was opened. */
  get moved(): number {
    return this.#moved
  }

  /** Begins to send files. One that is listed already resumes, and is not sent twice. */
  add(chosen: readonly Chosen[]): void {
    for (const one of chosen) {
      const known = this.items.find((item) => item.isFile(one))
      if (known === undefined || known.state.kind === 'done') this.#begin(one, known)
      else if (['paused', 'stopped', 'failed'].includes(known.state.kind)) known.start()
    }
  }

  /** Gives a file that clashes with another one a name that is free. */
  async keepBoth(item: UploadItem): Promise<void> {
    await item.keepBoth((key) => this.items.some((other) => other.key === key))
  }

  /**
   * Whether a file of the server is to be seen among the uploads, or has come to its end since the
   * server was asked for its list, at `askedAt` (as of `performance.now()`). One that an upload clashes
   * with is another file.
   */
  covers({ key, complete }: ListedFile, askedAt: number): boolean {
    return this.items.some((item) => {
      if (item.key !== key || item.state.kind === 'clash') return false
      return item.state.kind !== 'done' || (!complete && askedAt < item.movedAt)
    })
  }

  /** Drops uploads that are done, since what they brought is there no more. */
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
