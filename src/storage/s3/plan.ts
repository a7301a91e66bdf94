/**
 * Plans the parts of the multipart upload that assembles a version. Large pieces are copied inside
 * the object store. Adjacent small ones are gathered, read and uploaded. Pure functions.
 */
import { lengthOf, slicePieces } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { DataExtent, ObjectExtent } from './record.ts'

/** A part: a range of one object that the store copies, or bytes to upload. */
export type PlannedPart =
  | { readonly kind: 'copy'; readonly source: DataExtent | ObjectExtent }
  | { readonly kind: 'bytes'; readonly pieces: readonly Piece[] }

/** What the object store allows, in bytes. */
export interface PartLimits {
  /** Smallest length of a part other than the last. A range is copied only if it is longer. */
  readonly minPartSize: number
  /** Longest part that is copied in one request, unless the version would have too many parts. */
  readonly maxCopySize: number
  /** Largest number of parts of one object. */
  readonly maxParts: number
}

/**
 * Plans the parts. Each part except the last must have `minPartSize` bytes. If a run of small
 * pieces is shorter, bytes of the large piece after it are uploaded with it. An empty version has
 * no parts and can't be assembled. The plan of more than `maxParts` / 2 pieces may have more than
 * `maxParts` parts, which the store would refuse.
 */
export function planParts(
  pieces: readonly Piece[],
  { minPartSize, maxCopySize, maxParts }: PartLimits,
): readonly PlannedPart[] {
  // Half of the parts are left to the ends of pieces. A copy of 1 GiB is the longest, in a file of
  // 5 TiB.
  const copySize = Math.max(maxCopySize, Math.ceil((2 * lengthOf(pieces)) / maxParts))
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
    parts.push(...uploaded(whole, minPartSize), ...copied(rest, copySize))
    gathered = []
  }
  parts.push(...uploaded(gathered, minPartSize))
  return parts
}

function isCopyable(piece: Piece): piece is DataExtent | ObjectExtent {
  return piece.kind === 'data' || piece.kind === 'object'
}

/**
 * Cuts a run of pieces into parts of `minPartSize` to twice as many bytes, because each uploaded
 * part is held in memory.
 */
function uploaded(pieces: readonly Piece[], minPartSize: number): readonly PlannedPart[] {
  const size = lengthOf(pieces)
  if (size === 0) return []
  const count = Math.max(1, Math.floor(size / minPartSize))
  return cuts(size, count).map(([start, end]) => ({
    kind: 'bytes',
    pieces: slicePieces(pieces, start, end),
  }))
}

/** Cuts a range into parts of at most `copySize` bytes. */
function copied(source: DataExtent | ObjectExtent, copySize: number): readonly PlannedPart[] {
  return cuts(source.length, Math.ceil(source.length / copySize)).map(([start, end]) => ({
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
