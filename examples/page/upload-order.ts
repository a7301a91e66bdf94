/** Decides which uploads are shown, and in which order. */
import type { ItemState } from './item-state.ts'
import type { UploadItem } from './upload-item.ts'

/** Largest number of uploads that are all shown. Beyond it, only a selection is shown at first. */
export const ALL_SHOWN = 8
/** Number of queued uploads and of complete uploads in the selection. */
const SOME_SHOWN = 2

/**
 * Returns the uploads in the order of the list: those that have begun, those that need a decision,
 * those that wait for their turn, and the complete ones. A paused upload keeps its place, because its
 * button for resuming would otherwise jump away from the pointer.
 */
export function sortItems(items: readonly UploadItem[]): readonly UploadItem[] {
  // The sort is stable, so that uploads of one rank keep the order in which the user has chosen them.
  return items.toSorted((a, b) => rankOf(a.state) - rankOf(b.state))
}

/**
 * Returns the uploads in the order in which they were shown before, and new ones at the end. It holds
 * while the pointer is over the list: a row that moves just before a click would offer the buttons of
 * another file, such as Replace.
 */
export function keepOrder(
  items: readonly UploadItem[],
  before: readonly UploadItem[],
): readonly UploadItem[] {
  const places = new Map(before.map((item, index) => [item, index]))
  const placeOf = (item: UploadItem): number => places.get(item) ?? before.length
  return items.toSorted((a, b) => placeOf(a) - placeOf(b))
}

/** Selects the uploads that run or need a decision, and a few of the queued and the complete ones. */
export function selectItems(items: readonly UploadItem[]): readonly UploadItem[] {
  if (items.length <= ALL_SHOWN) return items
  const queued = items.filter(({ state }) => state.kind === 'queued').slice(0, SOME_SHOWN)
  const done = items.filter(({ state }) => state.kind === 'done').slice(-SOME_SHOWN)
  const some = new Set([...queued, ...done])
  return items.filter((item) => !['queued', 'done'].includes(item.state.kind) || some.has(item))
}

function rankOf({ kind }: ItemState): number {
  switch (kind) {
    case 'running':
    case 'waiting':
    case 'paused':
    case 'stopped':
    case 'removing':
      return 0
    case 'clash':
    case 'failed':
      return 1
    case 'elsewhere':
    case 'queued':
      return 2
    case 'done':
      return 3
    default:
      return kind satisfies never
  }
}
