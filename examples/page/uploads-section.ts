/** The list of uploads, with their progress in all and with buttons for all of them. */
import { find, keepFocus, sectionOf, setChildren, setText } from './dom.ts'
import { formatCount, formatLeft, formatPercent, formatSize } from './format.ts'
import { Pace } from './pace.ts'
import type { UploadItem } from './upload-item.ts'
import { ALL_SHOWN, keepOrder, selectItems, sortItems } from './upload-order.ts'
import { UploadRow } from './upload-row.ts'
import type { Uploads } from './uploads.ts'
import type { Action } from './labels.ts'

/**
 * Shows the uploads, and performs the actions of their buttons. It is rendered as a whole after each
 * change, at most once per frame, so that no text can miss a change. Elements that stay are not replaced.
 */
export class UploadsSection {
  readonly #uploads: Uploads
  readonly #section = sectionOf('uploads')
  readonly #pauseAll = find(this.#section.root, '.pause-all', HTMLButtonElement)
  readonly #total = find(this.#section.root, '.total', HTMLProgressElement)
  readonly #clear = find(this.#section.root, '.clear', HTMLButtonElement)
  readonly #clashes = find(this.#section.root, '.clashes', HTMLElement)
  /** Rows of the uploads that were shown. Most of hundreds of uploads never need one. */
  readonly #rows = new Map<UploadItem, UploadRow>()
  readonly #pace = new Pace()
  /** The uploads that the list shows now, in their order. */
  #shown: readonly UploadItem[] = []
  #isUnfolded = false

  constructor(uploads: Uploads) {
    this.#uploads = uploads
    this.#pauseAll.addEventListener('click', () => this.#toggleAll())
    this.#clear.addEventListener('click', () => this.#dropDone())
    this.#section.fold.addEventListener('click', () => {
      this.#isUnfolded = !this.#isUnfolded
      this.render(performance.now())
    })
    for (const action of ['replace', 'keep-both', 'dismiss'] as const) {
      // The same answer for many files at once: a folder that is uploaded again clashes with itself.
      find(this.#clashes, `.${action}`, HTMLButtonElement).addEventListener('click', () => {
        for (const item of this.#inState('clash')) this.#act(action, item)
      })
    }
  }

  /** Shows the present states. `now` is a time of `performance.now()`. */
  render(now: number): void {
    const { root, heading } = this.#section
    keepFocus(root, heading, () => this.#show(this.#uploads.items, now))
  }

  /** Shows the rows, the tools, the bar and the summary. */
  #show(items: readonly UploadItem[], now: number): void {
    const { root, list, summary } = this.#section
    root.hidden = items.length === 0
    const shown = this.#order(this.#isUnfolded ? items : selectItems(items))
    this.#shown = shown
    setChildren(
      list,
      shown.map((item) => this.#rowOf(item).element),
    )
    for (const item of shown) this.#rowOf(item).render(now)
    // Rows of uploads that have left the list would keep their files alive.
    const known = new Set(items)
    for (const item of this.#rows.keys()) if (!known.has(item)) this.#rows.delete(item)
    this.#renderTools(items, shown.length)
    this.#renderTotal(items)
    if (!items.some(({ isActive }) => isActive)) this.#pace.reset()
    setText(summary, summarise(items, this.#pace.measure(this.#uploads.moved, now)))
  }

  /** Puts the uploads in their order, unless the pointer is over the list. */
  #order(items: readonly UploadItem[]): readonly UploadItem[] {
    const isPointedAt = this.#section.list.matches(':hover')
    return isPointedAt ? keepOrder(items, this.#shown) : sortItems(items)
  }

  /** Shows one bar for all uploads, if there are several and not all are complete. */
  #renderTotal(items: readonly UploadItem[]): void {
    const { sent, size } = sumUp(items)
    const isComplete = items.every(({ state }) => state.kind === 'done')
    this.#total.hidden = items.length < 2 || isComplete
    this.#total.value = size === 0 ? 0 : sent / size
  }

  /** Shows the buttons for several uploads, each only if there are at least two for it. */
  #renderTools(items: readonly UploadItem[], shown: number): void {
    const unfinished = items.filter(({ state }) => state.kind !== 'done').length
    const canPause = items.some(({ isActive }) => isActive)
    // The button pauses as long as anything runs. It resumes only after all are paused.
    this.#pauseAll.hidden = unfinished < 2 || !(canPause || this.#inState('paused').length > 0)
    setText(this.#pauseAll, canPause ? 'Pause all' : 'Resume all')
    this.#clear.hidden = this.#inState('done').length < 2
    const hidden = items.length - shown
    this.#section.fold.hidden = hidden === 0 && (!this.#isUnfolded || items.length <= ALL_SHOWN)
    setText(this.#section.fold, hidden === 0 ? 'Show fewer' : `Show ${hidden} more`)
    const clashes = this.#inState('clash').length
    this.#clashes.hidden = clashes < 2
    setText(find(this.#clashes, 'p', HTMLElement), `${clashes} names are taken:`)
  }

  /** Returns the row of an upload. It is the same each time, so that its buttons keep the focus. */
  #rowOf(item: UploadItem): UploadRow {
    const row = this.#rows.get(item) ?? new UploadRow(item, (action) => this.#act(action, item))
    this.#rows.set(item, row)
    return row
  }

  /** Performs the action of a button. */
  #act(action: Action, item: UploadItem): void {
    switch (action) {
      case 'pause':
        item.pause()
        break
      case 'resume':
      case 'retry':
        item.start()
        break
      case 'hurry':
        item.hurry()
        break
      case 'cancel':
        item.cancel()
        break
      case 'remove':
        void item.removeArrived()
        break
      case 'replace':
        item.start({ overwrite: true })
        break
      case 'keep-both':
        void this.#uploads.keepBoth(item)
        break
      case 'keep':
      case 'dismiss':
        item.drop()
        break
      default:
        action satisfies never
    }
    // Shown at once and not in the next frame, because the row may move the focus to a new button.
    this.render(performance.now())
  }

  /** Pauses all uploads that run or wait. If there are none, resumes those that are paused. */
  #toggleAll(): void {
    const active = this.#uploads.items.filter(({ isActive }) => isActive)
    if (active.length > 0) for (const item of active) item.pause()
    else for (const item of this.#inState('paused')) item.start()
    this.render(performance.now())
  }

  /** Removes the complete uploads from the list. Their files are in the list of the server. */
  #dropDone(): void {
    for (const item of this.#inState('done')) item.drop()
    this.render(performance.now())
  }

  /** Returns the uploads that are in a state. */
  #inState(kind: UploadItem['state']['kind']): readonly UploadItem[] {
    return this.#uploads.items.filter(({ state }) => state.kind === kind)
  }
}

/**
 * Describes all uploads together, as `3 of 12 files complete · 2 failed · 45% · 61 MB/s · 2 min left`.
 */
function summarise(items: readonly UploadItem[], rate: number | null): string {
  const done = items.filter(({ state }) => state.kind === 'done').length
  // The row of a single upload already says all of this.
  if (items.length === 1) return ''
  if (done === items.length) return `${formatCount(done)} complete`
  const parts = [`${done} of ${formatCount(items.length)} complete`]
  const failed = items.filter(({ state }) => state.kind === 'failed').length
  if (failed > 0) parts.push(`${failed} failed`)
  // Only active uploads have remaining time: a paused one waits for the user.
  const active = sumUp(items.filter(({ isActive }) => isActive))
  const all = sumUp(items)
  if (active.size > 0) parts.push(formatPercent(all.sent, all.size))
  if (rate !== null && rate >= 1 && active.sent < active.size) {
    parts.push(`${formatSize(rate)}/s`, formatLeft((active.size - active.sent) / rate))
  }
  return parts.join(' · ')
}

/** Returns the number of bytes that were sent, and the number of all bytes. */
export function sumUp(items: readonly UploadItem[]): {
  readonly sent: number
  readonly size: number
} {
  const sent = items.reduce((sum, { progress }) => sum + progress.sent, 0)
  const size = items.reduce((sum, { file }) => sum + file.size, 0)
  return { sent, size }
}
