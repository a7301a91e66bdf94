/** Searches and sorts the files on the server. */
import type { ListedFile } from './listing.ts'

/** Compares names as people do: without regard to case, and `file 9` before `file 10`. */
const COLLATOR = new Intl.Collator(undefined, { numeric: true })

type Compare = (a: ListedFile, b: ListedFile) => number

/** The orders of the `<select>` in index.html, by the value of their option. */
const ORDERS: ReadonlyMap<string, Compare> = new Map([
  // Times in the format of ISO 8601 sort as texts.
  ['newest', (a, b) => Number(a.modified < b.modified) - Number(a.modified > b.modified)],
  ['name', (a, b) => COLLATOR.compare(a.key, b.key)],
  ['largest', (a, b) => b.size - a.size],
])

/**
 * Returns the files whose path contains all words of the search, in the chosen order. The words may be
 * in any order, so that `trip 2026` finds `2026/trip.jpg`. An empty search finds all files.
 */
export function arrange(
  files: readonly ListedFile[],
  search: string,
  order: string,
): readonly ListedFile[] {
  const words = fold(search).split(/\s+/)
  const found = files.filter(({ key }) => {
    const path = fold(key)
    return words.every((word) => path.includes(word))
  })
  return found.toSorted(ORDERS.get(order))
}

/** Removes differences that a search ignores. macOS decomposes letters such as `ü` in names. */
function fold(text: string): string {
  return text.normalize('NFC').toLowerCase()
}
