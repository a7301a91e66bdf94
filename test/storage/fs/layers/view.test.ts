import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  TRAILER_SIZE,
  createIndex,
  formatIndex,
  parseIndex,
  parseTrailer,
  rangeAt,
  rangeCount,
} from '../../../../src/storage/fs/layers/layer-index.ts'
import type { LayerIndex } from '../../../../src/storage/fs/layers/layer-index.ts'
import { OwnRanges } from '../../../../src/storage/fs/layers/own-ranges.ts'
import { BASE, ZEROS, piecesIn, viewOf } from '../../../../src/storage/fs/layers/view.ts'

/** One writer: what it writes where, or to which part of the size it truncates. */
const change = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ position: fc.nat(80), length: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ part: fc.double({ min: 0, max: 1, noNaN: true }) }) },
)
const writers = fc.array(fc.array(change, { minLength: 1, maxLength: 12 }), { maxLength: 6 })

/** A layer with its data, as a file has it. */
interface Layer {
  readonly index: LayerIndex
  readonly data: number[]
}

/** Writes the changes of one writer into `bytes`, as a plain array, and into a layer. */
function write(
  bytes: number[],
  changes: readonly (typeof change extends fc.Arbitrary<infer T> ? T : never)[],
  fill: () => number,
): Layer {
  const ranges = new OwnRanges(bytes.length)
  const data: number[] = []
  for (const step of changes) {
    if ('part' in step) {
      const size = Math.floor(step.part * bytes.length)
      bytes.length = size
      ranges.truncate(size)
      continue
    }
    const at = data.length
    while (bytes.length < step.position) bytes.push(0)
    for (let index = 0; index < step.length; index += 1) {
      const byte = fill()
      data.push(byte)
      bytes[step.position + index] = byte
    }
    ranges.write(step.position, step.length, at)
  }
  return { index: ranges.toIndex(data.length), data }
}

/** Reads the version through its layers, as a reader does. */
function read(
  base: readonly number[],
  layers: readonly Layer[],
  start: number,
  end: number,
): number[] {
  const view = viewOf(
    base.length,
    layers.map(({ index }) => index),
  )
  const bytes: number[] = []
  for (const piece of piecesIn(view, start, Math.min(end, view.size))) {
    expect(piece.start).toBe(start + bytes.length)
    const length = piece.end - piece.start
    const source = piece.source === BASE ? base : layers[piece.source - 1]?.data
    if (piece.source === ZEROS) bytes.push(...Array<number>(length).fill(0))
    else bytes.push(...(source ?? []).slice(piece.at, piece.at + length))
  }
  return bytes
}

describe('a version through layers', () => {
  test('has the bytes of the file with all changes made to it', () => {
    fc.assert(
      fc.property(fc.nat(60), writers, fc.nat(100), fc.nat(100), (size, changes, start, length) => {
        let next = 1
        const fill = (): number => (next += 1)
        const base = Array.from({ length: size }, fill)
        const bytes = [...base]
        const layers = changes.map((steps) => write(bytes, steps, fill))
        const from = Math.min(start, bytes.length)

        expect(read(base, layers, 0, Infinity)).toEqual(bytes)
        expect(read(base, layers, from, from + length)).toEqual(bytes.slice(from, from + length))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the index of a layer', () => {
  const index = createIndex(10, 5, 30, [
    { start: 2, end: 4, at: 8 },
    { start: 20, end: 28, at: 0 },
  ])
  const fileSize = 10 + formatIndex(index).length

  function parse(bytes: Uint8Array, size = fileSize): LayerIndex | null {
    const trailer = parseTrailer(bytes.subarray(bytes.length - TRAILER_SIZE))
    if (trailer === null) return null
    const start = bytes.length - TRAILER_SIZE - trailer.length
    if (start < 0) return null
    return parseIndex(bytes.subarray(start, -TRAILER_SIZE), trailer.crc, size)
  }

  test('is read as it was written', () => {
    const parsed = parse(formatIndex(index))

    expect(parsed).toEqual(index)
    expect(rangeCount(index)).toBe(2)
    expect(rangeAt(index, 1)).toEqual({ start: 20, end: 28, at: 0 })
  })

  test('is refused when one bit is wrong', () => {
    const bytes = formatIndex(index)
    for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
      const wrong = Uint8Array.from(bytes)
      wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(parse(wrong)).toBeNull()
    }
  })

  test('is refused when bytes of the file are missing', () => {
    expect(parse(formatIndex(index), fileSize - 1)).toBeNull()
    expect(parseTrailer(new Uint8Array(TRAILER_SIZE - 1))).toBeNull()
  })

  test.each([
    [
      'overlap',
      [
        { start: 2, end: 5, at: 0 },
        { start: 4, end: 6, at: 3 },
      ],
    ],
    ['are empty', [{ start: 2, end: 2, at: 0 }]],
    ['end beyond the version', [{ start: 28, end: 31, at: 0 }]],
    ['lie beyond the data', [{ start: 2, end: 6, at: 7 }]],
  ])('is refused when ranges %s', (_name, ranges) => {
    expect(
      parse(formatIndex(createIndex(10, 5, 30, ranges)), 10 + 24 + 24 * ranges.length + 16),
    ).toBeNull()
  })
})
