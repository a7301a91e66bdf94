/**
 * Merges data objects of a long upload into larger ones, by copies inside the object store. An
 * object has a limited number of parts, and the record of an upload lists all its extents, so that
 * their number must not grow with the length of the file.
 *
 * When a list is too long, its shortest run of adjacent pieces is merged. Runs of merged objects
 * are merged again later, so that a byte is copied about as many times as the logarithm of the
 * length.
 */
import { isDeepStrictEqual } from 'node:util'
import { assembleData } from './assemble.ts'
import type { S3Context } from './context.ts'
import { lengthOf, overwrite, slicePieces, withStored } from './pieces.ts'
import type { Piece } from './pieces.ts'
import { planParts } from './plan.ts'
import type { PartLimits } from './plan.ts'

/** Times by which a list may be longer than `maxExtents` while its pieces are merged. */
const LONGEST = 4

/** Adjacent pieces that are merged into one data object. */
interface Run {
  /** Position of the first byte in the version. */
  readonly start: number
  readonly pieces: readonly Piece[]
}

/** The pieces of a version after merges, and the data objects that the merges have made. */
interface Shortened {
  readonly pieces: readonly Piece[]
  readonly made: readonly Piece[]
}

/**
 * Returns the number of extents from which on an upload is merged. It is a small share of
 * `maxParts`, because the record lists all extents and is written about once a second.
 */
function maxExtents({ maxParts }: PartLimits): number {
  return Math.ceil(maxParts / 10)
}

/**
 * Merges pieces until the version can be assembled from at most `maxParts` parts. Most versions are
 * short enough and stay as they are. The data objects that are made belong to the caller, which
 * deletes them later.
 *
 * @throws Error when the version is too long for the object store.
 * @throws VanishedError, UploadError like `assemble`.
 */
export async function shortened(
  context: S3Context,
  all: readonly Piece[],
  object: string,
  folder: string,
): Promise<Shortened> {
  const { limits } = context
  let pieces = all
  const made: Piece[] = []
  for (;;) {
    const parts = planParts(pieces, limits).length
    if (parts <= limits.maxParts) return { pieces, made }
    const run = shortestRun(pieces, limits, () => true)
    if (run === null || pieces.length <= maxExtents(limits))
      throw new Error(`the file needs ${parts} parts, more than ${limits.maxParts}`)
    const merged = await assembleData(context, folder, run.pieces, object)
    made.push(merged)
    pieces = overwrite(pieces, run.start, [merged])
  }
}

/** Merges the pieces of one upload in the background, one run at a time, while it is written. */
export class Merges {
  readonly #context: S3Context
  readonly #object: string
  readonly #folder: string
  /** The merge in progress; null if there is none. */
  #running: Promise<void> | null = null
  /** The outcome of a merge, until `apply` replaces the run by it. */
  #merged: { readonly run: Run; readonly extent: Piece } | null = null
  /** Pieces of the data objects that were replaced by a merged one, and are not deleted yet. */
  #replaced: readonly Piece[] = []
  #hasFailed = false

  constructor(context: S3Context, object: string, folder: string) {
    this.#context = context
    this.#object = object
    this.#folder = folder
  }

  /**
   * Replaces the run of a finished merge in the list of the writer. If the list is too long, begins
   * the next merge, without waiting for it. Returns the new list; null if it has not changed. If
   * the writer ends before the next call, the sweep deletes the outcome of the merge.
   */
  advance(list: readonly Piece[]): readonly Piece[] | null {
    const pieces = this.#apply(list)
    const current = pieces ?? list
    const { limits } = this.#context
    if (this.#hasFailed || this.#running !== null || current.length <= maxExtents(limits))
      return pieces
    // Bytes in memory are stored soon, and are merged then without passing through this process.
    const run = shortestRun(withStored(current), limits, ({ kind }) => kind !== 'block')
    if (run !== null) this.#running = this.#merge(run)
    return pieces
  }

  /**
   * Waits for the merge in progress if the list is several times too long, which makes a client
   * wait that sends faster than the store copies.
   */
  async room(list: readonly Piece[]): Promise<void> {
    if (list.length > LONGEST * maxExtents(this.#context.limits)) await this.#running
  }

  /** Waits for the merge in progress. `advance` then applies it. */
  async settle(): Promise<void> {
    await this.#running
  }

  /**
   * Returns the replaced pieces whose data objects can be deleted, because `current`, the version
   * that readers see now, does not refer to them. Each is returned once.
   */
  takeReplaced(current: readonly Piece[]): readonly Piece[] {
    const names = new Set(current.map(nameOf))
    const isNamed = (piece: Piece): boolean => names.has(nameOf(piece))
    const free = this.#replaced.filter((piece) => !isNamed(piece))
    this.#replaced = this.#replaced.filter(isNamed)
    return free
  }

  #apply(list: readonly Piece[]): readonly Piece[] | null {
    if (this.#merged === null) return null
    const { run, extent } = this.#merged
    this.#merged = null
    const pieces = withStored(list)
    const now = slicePieces(pieces, run.start, run.start + extent.length)
    // A write may have replaced bytes of the run, or a truncation removed some, since the merge
    // began.
    if (!isDeepStrictEqual(now, run.pieces)) return null
    this.#replaced = [...this.#replaced, ...run.pieces]
    return overwrite(pieces, run.start, [extent])
  }

  async #merge(run: Run): Promise<void> {
    try {
      const extent = await assembleData(this.#context, this.#folder, run.pieces, this.#object)
      this.#merged = { run, extent }
    } catch {
      // The upload only has more extents without the merge. The publication merges again, and
      // reports the failure if it lasts.
      this.#hasFailed = true
    } finally {
      this.#running = null
    }
  }
}

/**
 * Returns the run with the fewest bytes; null if there is none. Its number of pieces is the root of
 * `maxExtents`, which keeps both the number of merges and the number of copies of a byte small.
 */
function shortestRun(
  pieces: readonly Piece[],
  limits: PartLimits,
  mayMerge: (piece: Piece) => boolean,
): Run | null {
  const count = Math.ceil(Math.sqrt(maxExtents(limits)))
  let shortest: Run | null = null
  let least = Infinity
  let start = 0
  for (const [index, { length }] of pieces.entries()) {
    const run = pieces.slice(index, index + count)
    if (run.length < count) break
    const size = lengthOf(run)
    if (size < least && run.every(mayMerge)) [shortest, least] = [{ start, pieces: run }, size]
    start += length
  }
  return shortest
}

function nameOf(piece: Piece): string | null {
  return piece.kind === 'data' ? piece.name : null
}
