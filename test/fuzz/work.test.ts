/** The work for an input grows linearly with its size, and not with the square of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { PartLimits } from '../../src/media/part.ts'
import { WorkCounter } from './work.ts'
import { largeHeaders, longMessage, lookAlikes, manyParts } from './worst-documents.ts'
import { worstFields, worstParameters, worstPaths } from './worst-fields.ts'

/** Largest factor of the work for twice the size: 2, with a tolerance of a tenth. */
const MOST = 2.2
const LIMITS: PartLimits = { maxParts: 128, maxPartHeaderSize: 8192, maxSize: 2 ** 40 }

const counter = new WorkCounter()

beforeAll(() => counter.start())
afterAll(() => counter.stop())

/**
 * Returns the work for twice the size, divided by the work for the size. The first call is not
 * counted, because it has work that a process does once.
 */
async function growth(call: (size: number) => () => void, size: number): Promise<number> {
  const [first, second] = [call(size), call(2 * size)]
  await counter.measure(first)
  const work = await counter.measure(first)
  return (await counter.measure(second)) / work
}

describe('twice the size costs at most 2.2 times the work', () => {
  it.each(documents())('of a parser: $name', async ({ make, size, limits }) => {
    const { createPartParser } = await import('../../src/media/parse.ts')
    const read = (pieceSize: number) => (given: number) => {
      const { type, content } = make(given)
      const chunks = cut(Buffer.from(content, 'latin1'), pieceSize)
      const options = { ...limits(given), contentLength: null }
      return () => {
        const { parser } = createPartParser([type], options)
        for (const chunk of chunks) parser.write(chunk)
        parser.end()
      }
    }

    expect(await growth(read(Infinity), size)).toBeLessThan(MOST)
    expect(await growth(read(1), size)).toBeLessThan(MOST)
  })

  it.each(fields())('of the field $name: $start…', async ({ name, value }) => {
    const read = (await readers())[name]!

    expect(await growth((size) => () => read(value(size)), 500)).toBeLessThan(MOST)
  })

  it.each(worstPaths(10).map(({ name }, index) => ({ name, index })))(
    'of the key of $name',
    async ({ index }) => {
      const { keyOfPath, keySegments } = await import('../../src/storage/key.ts')
      const read = (size: number) => {
        const { path } = worstPaths(size)[index]!
        return () => keySegments(keyOfPath(path))
      }

      expect(await growth(read, 500)).toBeLessThan(MOST)
    },
  )
})

describe('the count', () => {
  it.each([
    { what: 'backtracks', call: (size: number) => () => /^a*a*b/.test('a'.repeat(size)) },
    { what: 'copies all that came before with every byte', call: copyAgain },
    { what: 'cuts off a piece of a text at a time', call: cutAgain },
  ])('of what $what grows with the square', async ({ call }) => {
    expect(await growth(call, 200)).toBeGreaterThan(3.5)
  })
})

function copyAgain(size: number): () => void {
  return () => {
    let held = new Uint8Array(0)
    while (held.length < size) {
      const longer = new Uint8Array(held.length + 1)
      longer.set(held)
      held = longer
    }
  }
}

function cutAgain(size: number): () => void {
  return () => {
    let rest = 'a'.repeat(size)
    while (rest !== '') rest = rest.slice(1)
  }
}

function documents() {
  const kinds = [
    { make: lookAlikes, size: 4000, limits: () => LIMITS },
    { make: manyParts, size: 32, limits: (maxParts: number) => ({ ...LIMITS, maxParts }) },
    {
      make: largeHeaders,
      size: 600,
      limits: (maxPartHeaderSize: number) => ({ ...LIMITS, maxPartHeaderSize }),
    },
    { make: (size: number) => [longMessage(size)], size: 4000, limits: () => LIMITS },
  ]
  return kinds.flatMap(({ make, ...rest }) =>
    make(rest.size).map(({ name }, index) => {
      return { name, make: (size: number) => make(size)[index]!, ...rest }
    }),
  )
}

function fields() {
  const types = (size: number) =>
    worstParameters(size).map((rest) => ({ name: 'Content-Type', value: `a/b${rest}` }))
  const ranges = (size: number) =>
    worstFields(size)
      .filter(({ name }) => name.endsWith('Range'))
      .map(({ value }) => ({ name: 'Range in a part', value }))
  const read = (size: number) =>
    worstFields(size).filter(({ name }) => !['Accept', 'Content-Encoding'].includes(name))
  return [read, ranges, types].flatMap((make) =>
    make(500).map(({ name, value }, index) => {
      return { name, start: value.slice(0, 20), value: (size: number) => make(size)[index]!.value }
    }),
  )
}

/** Functions that read a field. They are loaded after the counters have started. */
async function readers(): Promise<Readonly<Record<string, (value: string) => unknown>>> {
  const { parseContentOffset } = await import('../../src/fields/content-offset.ts')
  const { parseContentRange, parseRangeAlias } = await import('../../src/fields/content-range.ts')
  const { parseMediaType, isServable } = await import('../../src/fields/content-type.ts')
  const { parseDigest } = await import('../../src/fields/digest.ts')
  const { matchesStrongly, matchesWeakly } = await import('../../src/fields/entity-tag.ts')
  const { parseHttpDate } = await import('../../src/fields/http-date.ts')
  const { preferredTransaction } = await import('../../src/fields/prefer.ts')
  const { selectRanges } = await import('../../src/fields/range.ts')
  const tags = (value: string) => [matchesStrongly(value, '"x"'), matchesWeakly(value, '"x"')]
  return {
    'If-Match': tags,
    'If-None-Match': tags,
    'If-Range': (value) => [...tags(value), parseHttpDate(value)],
    'If-Modified-Since': parseHttpDate,
    'If-Unmodified-Since': parseHttpDate,
    Range: (value) => selectRanges(value, 100, 16),
    'Range in a part': parseRangeAlias,
    'Content-Range': parseContentRange,
    'Content-Offset': parseContentOffset,
    'Content-Type': (value) => [isServable(value), parseMediaType(value)],
    'Content-Digest': parseDigest,
    'Repr-Digest': parseDigest,
    Prefer: preferredTransaction,
  }
}

function cut(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}
