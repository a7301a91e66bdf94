/**
 * Plans the parts of the multipart upload that assembles a version. Large pieces are copied inside the object
 * store; neighbouring small ones are gathered and uploaded. Pure functions.
 */
import { lengthOf, slicePieces } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { DataExtent, ObjectExtent } from './record.ts'

/** A part: a range of one object to copy, or bytes to upload. */
export type PlannedPart =
  | { readonly kind: 'copy'; readonly source: DataExtent | ObjectExtent }
  | { readonly kind: 'bytes'; readonly pieces: readonly Piece[] }

/** What the object store allows, in bytes. */
export interface PartLimits {
  /** Smallest length of a part other than the last. A range is copied only if it is longer. */
  readonly minPartSize: number
  /** Longest part that is copied in one request. */
  readonly maxCopySize: number
}

/** Most parts of one object. */
const MAX_PARTS = 10_000

/**
 * Plans the parts. Each part but the last has at least `minPartSize` bytes; for that, a run of small pieces
 * borrows from the large piece that follows. An empty version has no parts and can't be assembled.
 *
 * @throws Error when the version needs more parts than an object may have.
 */
export function planParts(
  pieces: readonly Piece[],
  { minPartSize, maxCopySize }: PartLimits,
): readonly PlannedPart[] {
  const parts: PlannedPart[] = []
  let gathered: readonly Piece[] = []
  for (const piece of pieces) {
    const missing = lengthOf(gathered) === 0 ? 0 : Math.max(0, minPartSize - lengthOf(gathered))
    if (!isCopyable(piece) || piece.length - missing <= minPartSize) {
      gathered = [...gathered, piece]
      continue
    }
    const whole = [...gathered, ...slicePieces([piece], 0, missing)]
    const rest = { ...piece, offset: piece.offset + missing, length: piece.length - missing }
    parts.push(...uploaded(whole, minPartSize), ...copied(rest, maxCopySize))
    gathered = []
  }
  parts.push(...uploaded(gathered, minPartSize))
  if (parts.length > MAX_PARTS) throw new Error(`the version needs ${parts.length} parts`)
  return parts
}

function isCopyable(piece: Piece): piece is DataExtent | ObjectExtent {
  return piece.kind === 'data' || piece.kind === 'object'
}

/** Cuts a run into parts of `minPartSize` to twice that, because each uploaded part is held in memory. */
function uploaded(pieces: readonly Piece[], minPartSize: number): readonly PlannedPart[] {
  const size = lengthOf(pieces)
  if (size === 0) return []
  const count = Math.max(1, Math.floor(size / minPartSize))
  return cuts(size, count).map(([start, end]) => ({
    kind: 'bytes',
    pieces: slicePieces(pieces, start, end),
  }))
}

function copied(source: DataExtent | ObjectExtent, maxCopySize: number): readonly PlannedPart[] {
  return cuts(source.length, Math.ceil(source.length / maxCopySize)).map(([start, end]) => ({
    kind: 'copy',
    source: { ...source, offset: source.offset + start, length: end - start },
  }))
}

/** Cuts `size` bytes into `count` ranges of nearly equal length. */
function cuts(size: number, count: number): readonly (readonly [start: number, end: number])[] {
  return Array.from({ length: count }, (_, index) => [
    Math.floor((index * size) / count),
    Math.floor(((index + 1) * size) / count),
  ])
}
