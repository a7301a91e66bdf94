/**
 * Describes the content of a version as a list of pieces: runs of bytes in the object store or in
 * memory. Pure functions.
 */
import type { Extent } from './record.ts'

/**
 * Bytes of an upload in memory. Bytes are appended until the block is sealed, and are never
 * changed. When the block is stored, its pieces become extents of its data object.
 */
export interface Block {
  /** The bytes. Empty after the block was stored, which frees the memory. */
  readonly chunks: Uint8Array[]
  length: number
  /** Whether the block is being stored or is stored, so that no bytes may be appended. */
  isSealed: boolean
  /** Name of the data object; null as long as the block is not stored. */
  stored: string | null
}

/** A range of the bytes of a block in memory. */
export interface BlockPiece {
  readonly kind: 'block'
  readonly block: Block
  readonly offset: number
  readonly length: number
}

/** A run of bytes of a version: a range of a block in memory, or an extent of the object store. */
export type Piece = BlockPiece | Extent

/** Makes an empty block. */
export function newBlock(): Block {
  return { chunks: [], length: 0, isSealed: false, stored: null }
}

/** Returns the length of all pieces together, in bytes. */
export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/**
 * Returns the pieces of the bytes `start` to `end` (exclusive). The first and the last one are cut
 * where necessary.
 */
export function slicePieces(
  pieces: readonly Piece[],
  start: number,
  end: number,
): readonly Piece[] {
  const found: Piece[] = []
  let at = 0
  for (const piece of pieces) {
    const from = Math.max(start - at, 0)
    const to = Math.min(end - at, piece.length)
    if (from < to) found.push(cut(piece, from, to))
    at += piece.length
    if (at >= end) break
  }
  return found
}

/**
 * Returns the pieces after the bytes from `position` on were replaced by `inserted`. If `position`
 * is beyond the end, zeros fill the gap.
 */
export function overwrite(
  pieces: readonly Piece[],
  position: number,
  inserted: readonly Piece[],
): readonly Piece[] {
  const size = lengthOf(pieces)
  const gap: readonly Piece[] = position > size ? [{ kind: 'zeros', length: position - size }] : []
  return joined([
    ...slicePieces(pieces, 0, position),
    ...gap,
    ...inserted,
    ...slicePieces(pieces, position + lengthOf(inserted), size),
  ])
}

/**
 * Appends pieces to a list in place, because copying the list of a long upload for each write would
 * be slow.
 */
export function appendPieces(pieces: Piece[], added: readonly Piece[]): void {
  for (const piece of added) {
    const last = pieces.at(-1)
    if (last !== undefined && follows(last, piece))
      pieces[pieces.length - 1] = { ...last, length: last.length + piece.length }
    else pieces.push(piece)
  }
}

/** Joins adjacent pieces that are also adjacent in the same block or object. */
function joined(pieces: readonly Piece[]): readonly Piece[] {
  const result: Piece[] = []
  for (const piece of pieces) {
    const last = result.at(-1)
    if (last !== undefined && follows(last, piece)) {
      result[result.length - 1] = { ...last, length: last.length + piece.length }
    } else {
      result.push(piece)
    }
  }
  return result
}

/** Returns whether the bytes of `b` follow those of `a` in the same block or object. */
function follows(a: Piece, b: Piece): boolean {
  if (a.kind === 'zeros') return b.kind === 'zeros'
  if (b.kind === 'zeros' || a.offset + a.length !== b.offset) return false
  if (a.kind === 'block') return b.kind === 'block' && a.block === b.block
  if (a.kind === 'data') return b.kind === 'data' && a.name === b.name
  if (a.kind === 'object') return b.kind === 'object' && a.etag === b.etag
  return b.kind === 'inline'
}

/** Returns the bytes `from` to `to` (exclusive) of a piece. */
function cut(piece: Piece, from: number, to: number): Piece {
  if (from === 0 && to === piece.length) return piece
  const length = to - from
  return piece.kind === 'zeros'
    ? { kind: 'zeros', length }
    : { ...piece, offset: piece.offset + from, length }
}

/** Returns the bytes of a block piece, without copying them. */
export function blockBytes({ block, offset, length }: BlockPiece): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  let at = 0
  for (const chunk of block.chunks) {
    const from = Math.max(offset - at, 0)
    const to = Math.min(offset + length - at, chunk.length)
    if (from < to) found.push(chunk.subarray(from, to))
    at += chunk.length
  }
  return found
}

/** Returns the pieces with stored blocks replaced by extents of their data objects. */
export function withStored(pieces: readonly Piece[]): readonly Piece[] {
  return joined(
    pieces.map((piece) =>
      piece.kind === 'block' && piece.block.stored !== null
        ? { kind: 'data', name: piece.block.stored, offset: piece.offset, length: piece.length }
        : piece,
    ),
  )
}

/**
 * Returns the pieces before the first one that is in memory only. These bytes can be recorded
 * without waiting for a request.
 */
export function leadingStored(pieces: readonly Piece[]): readonly Piece[] {
  const stored = withStored(pieces)
  const end = stored.findIndex(({ kind }) => kind === 'block')
  return end === -1 ? stored : stored.slice(0, end)
}

/** The content of a record: extents, and the inline bytes to which some of them refer. */
export interface Recorded {
  readonly extents: readonly Extent[]
  readonly inline: Uint8Array
}

/**
 * Converts pieces to extents. Bytes that are in memory only become inline bytes. The caller has
 * stored the blocks if these bytes exceed `maxInline`.
 */
export function recorded(pieces: readonly Piece[]): Recorded {
  const extents: Extent[] = []
  const chunks: Uint8Array[] = []
  let offset = 0
  for (const piece of withStored(pieces)) {
    if (piece.kind !== 'block') {
      extents.push(piece)
      continue
    }
    extents.push({ kind: 'inline', offset, length: piece.length })
    chunks.push(...blockBytes(piece))
    offset += piece.length
  }
  return { extents, inline: Buffer.concat(chunks) }
}

/**
 * Returns the extents of a record as pieces. Inline bytes become a block, which a later write may
 * append to.
 */
export function piecesOf(extents: readonly Extent[], inline: Uint8Array): readonly Piece[] {
  if (!extents.some(({ kind }) => kind === 'inline')) return extents
  const block: Block = { ...newBlock(), chunks: [inline], length: inline.length }
  return extents.map((extent) =>
    extent.kind === 'inline' ? { ...extent, kind: 'block', block } : extent,
  )
}

/** Returns the bytes of inline extents. */
export function inlineBytes(extents: readonly Extent[], inline: Uint8Array): readonly Uint8Array[] {
  return extents.flatMap((extent) =>
    extent.kind === 'inline' ? [inline.subarray(extent.offset, extent.offset + extent.length)] : [],
  )
}
