/** The list of uploads, with their progress in all and with buttons for all of them. */
import { find, keepFocus, sectionOf, setChildren, setText } from './dom.ts'
import { formatCount, formatLeft, formatPercent, formatSize } from './format.ts'
import { Pace } from './pace.ts'
import type { UploadItem } from './upload-item.ts'
import { ALL_SHOWN, keepOrder, selectItems, sortItems } from './upload-order.ts'
import { UploadRow } from './upload-row.ts'
import type { Uploads } from './uploads.ts'
import type { Action } from './labels.ts'

/** Shows the uploads, and performs the actions of their buttons. */
export class UploadsSection {
  readonly #uploads: Uploads
  readonly #section = sectionOf('uploads')
  readonly #pauseAll = find(this.#section.root, '.pause-all', HTMLButtonElement)
  readonly #total = find(this.#section.root, '.total', HTMLProgressElement)
  readonly #clear = find(this.#section.root, '.clear', HTMLButtonElement)
  readonly #clashes = find(this.#section.root, '.clashes', HTMLElement)
  readonly #rows = new Map<UploadItem, UploadRow>()
  readonly #pace = new Pace()
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
    const known = new Set(items)
    for (const item of this.#rows.keys()) if (!known.has(item)) this.#rows.delete(item)
    this.#renderTools(items, shown.length)
    this.#renderTotal(items)
    if (!items.some(({ isActive }) => isActive)) this.#pace.reset()
    setText(summary, summarise(items, this.#pace.measure(this.#uploads.moved, now)))
  }

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

  #renderTools(items: readonly UploadItem[], shown: number): void {
    const unfinished = items.filter(({ state }) => state.kind !== 'done').length
    const canPause = items.some(({ isActive }) => isActive)
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

  #rowOf(item: UploadItem): UploadRow {
    const row = this.#rows.get(item) ?? new UploadRow(item, (action) => this.#act(action, item))
    this.#rows.set(item, row)
    return row
  }

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
    this.render(performance.now())
  }

  #toggleAll(): void {
    const active = this.#uploads.items.filter(({ isActive }) => isActive)
    if (active.length > 0) for (const item of active) item.pause()
    else for (const item of this.#inState('paused')) item.start()
    this.render(performance.now())
  }

  #dropDone(): void {
    for (const item of this.#inState('done')) item.drop()
    this.render(performance.now())
  }

  #inState(kind: UploadItem['state']['kind']): readonly UploadItem[] {
    return this.#uploads.items.filter(({ state }) => state.kind === kind)
  }
}

/**
 * Describes all uploads together, as `3 of 12 files complete · 2 failed · 45% · 61 MB/s · 2 min left`.
 */
function summarise(items: readonly UploadItem[], rate: number | null): string {
  const done = items.filter(({ state }) => state.kind === 'done').length
  if (items.length === 1) return ''
  if (done === items.length) return `${formatCount(done)} complete`
  const parts = [`${done} of ${formatCount(items.length)} complete`]
  const failed = items.filter(({ state }) => state.kind === 'failed').length
  if (failed > 0) parts.push(`${failed} failed`)
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
