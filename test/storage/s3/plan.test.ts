import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { lengthOf, newBlock, slicePieces } from '../../../src/storage/s3/pieces.ts'
import type { Piece } from '../../../src/storage/s3/pieces.ts'
import { planParts } from '../../../src/storage/s3/plan.ts'
import type { PlannedPart } from '../../../src/storage/s3/plan.ts'

const LIMITS = { minPartSize: 5, maxCopySize: 20, maxParts: 1000 }

describe('the parts of a version', () => {
  it('are copied from large pieces, and uploaded from small ones', () => {
    expect(planParts([data('a', 12), block(3)], LIMITS)).toEqual([
      { kind: 'copy', source: data('a', 12) },
      { kind: 'bytes', pieces: [block(3)] },
    ])
  })

  it('borrow from the next large piece what a run of small ones lacks', () => {
    expect(planParts([block(2), data('a', 12)], LIMITS)).toEqual([
      { kind: 'bytes', pieces: [block(2), data('a', 3)] },
      { kind: 'copy', source: data('a', 9, 3) },
    ])
  })

  it('take a large piece in several copies', () => {
    expect(planParts([data('a', 50)], LIMITS)).toEqual([
      { kind: 'copy', source: data('a', 16) },
      { kind: 'copy', source: data('a', 17, 16) },
      { kind: 'copy', source: data('a', 17, 33) },
    ])
  })

  it('upload a piece that is too small to be copied by range', () => {
    expect(planParts([data('a', 5)], LIMITS)).toEqual([{ kind: 'bytes', pieces: [data('a', 5)] }])
  })

  it('are longer copies in a file that would have too many of them', () => {
    const parts = planParts([data('a', 5000), data('b', 5000)], { ...LIMITS, maxParts: 100 })

    expect(parts).toHaveLength(50)
    expect(parts.every((part) => part.kind === 'copy' && part.source.length === 200)).toBe(true)
  })

  it('are at most 10,000 in a file of 5 TiB', () => {
    const MIB = 1024 ** 2
    const limits = { minPartSize: 5 * MIB, maxCopySize: 256 * MIB, maxParts: 10_000 }
    const pieces = Array.from({ length: 1024 }, (_, index) => data(`d${index}`, 5120 * MIB))

    const parts = planParts(pieces, limits)

    expect(parts.length).toBeLessThanOrEqual(10_000)
    expect(Math.max(...parts.flatMap(piecesOfPart).map(({ length }) => length))).toBeLessThan(
      1100 * MIB,
    )
  })

  it('have all bytes in order, and lengths that the store accepts, for any pieces', () => {
    const piece = fc
      .tuple(fc.constantFrom('data', 'block', 'zeros'), fc.integer({ min: 1, max: 60 }))
      .map(([kind, length]): Piece => {
        if (kind === 'zeros') return { kind, length }
        return kind === 'data' ? data('a', length, 7) : block(length)
      })

    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 30 }), (pieces) => {
        const parts = planParts(pieces, LIMITS)

        expect(cells(parts.flatMap(piecesOfPart))).toEqual(cells(pieces))
        for (const part of parts.slice(0, -1))
          expect(lengthOf(piecesOfPart(part))).toBeGreaterThanOrEqual(5)
        for (const part of parts)
          expect(lengthOf(piecesOfPart(part))).toBeLessThanOrEqual(part.kind === 'copy' ? 20 : 10)
      }),
    )
  })
})

function data(name: string, length: number, offset = 0) {
  return { kind: 'data', name, offset, length } as const
}

function block(length: number) {
  return { kind: 'block', block: newBlock(), offset: 0, length } as const
}

function piecesOfPart(part: PlannedPart): readonly Piece[] {
  return part.kind === 'copy' ? [part.source] : part.pieces
}

/** One entry for each byte. */
function cells(pieces: readonly Piece[]): readonly string[] {
  return Array.from({ length: lengthOf(pieces) }, (_, index) => {
    const [piece] = slicePieces(pieces, index, index + 1)
    return piece?.kind === 'zeros' ? 'zero' : `${piece?.kind} ${piece?.offset}`
  })
}
