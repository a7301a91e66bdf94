/** The state rules as a pure function: the table row by row, then against plain bytes. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { UploadError } from '../../src/errors.ts'
import type { Part, PartTarget } from '../../src/media/part.ts'
import type { ResourceInfo } from '../../src/storage/adapter.ts'
import {
  advance,
  progressOf,
  checkWhole,
  type TransitionRules,
} from '../../src/protocol/transition.ts'
import { parseState } from '../support/wire/state.ts'

const RULES: TransitionRules = { finished: 'mutable', gapStatus: 409 }

type Row = readonly [given: string, parts: string, then: string]

describe('one part', () => {
  it.each<Row>([
    // f = 0, l + 1 = t
    ['∅', '0-9/10', 'C(10)'],
    ['I(4/10)', '0-9/10', 'C(10)'],
    ['I(4/10)', '0-7/8', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '0-11/12', 'ERR_COMPLETE_LENGTH'],
    ['I(4/*)', '0-9/10', 'C(10)'],
    ['I(4/*)', '0-3/4', 'C(4)'],
    ['I(4/*)', '0-2/3', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '0-9/10', 'C(10)'],
    ['C(10)', '0-11/12', 'C(12)'],
    ['C(10)', '0-7/8', 'ERR_COMPLETE_LENGTH'],
    // f = 0, l + 1 < t
    ['∅', '0-3/10', 'I(4/10)'],
    ['I(4/10)', '0-5/10', 'I(6/10)'],
    ['I(4/10)', '0-1/10', 'I(4/10)'],
    ['I(4/10)', '0-1/12', 'ERR_COMPLETE_LENGTH'],
    ['I(4/*)', '0-5/10', 'I(6/10)'],
    ['I(4/*)', '0-1/10', 'I(4/10)'],
    ['I(4/*)', '0-1/4', 'C(4)'],
    ['I(4/*)', '0-1/3', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '0-3/10', 'C(10)'],
    ['C(10)', '0-3/20', 'I(10/20)'],
    ['C(10)', '0-11/20', 'I(12/20)'],
    ['C(10)', '0-3/8', 'ERR_COMPLETE_LENGTH'],
    // f = 0, t = *
    ['∅', '0-3/*', 'I(4/*)'],
    ['I(4/10)', '0-5/*', 'I(6/10)'],
    ['I(4/10)', '0-9/*', 'C(10)'],
    ['I(4/10)', '0-10/*', 'ERR_COMPLETE_LENGTH'],
    ['I(4/*)', '0-5/*', 'I(6/*)'],
    ['C(10)', '0-3/*', 'C(10)'],
    ['C(10)', '0-11/*', 'C(12)'],
    // 0 < f < N, l inside
    ['∅', '1-2/10', 'ERR_NOT_FOUND'],
    ['I(4/10)', '1-2/10', 'I(4/10)'],
    ['I(4/10)', '1-2/9', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '1-2/10', 'C(10)'],
    ['C(10)', '1-2/20', 'I(10/20)'],
    ['C(10)', '1-2/9', 'ERR_COMPLETE_LENGTH'],
    // 0 < f < N, l beyond
    ['∅', '1-9/10', 'ERR_NOT_FOUND'],
    ['I(4/10)', '2-5/10', 'I(6/10)'],
    ['I(4/10)', '2-9/10', 'C(10)'],
    ['C(10)', '8-11/12', 'C(12)'],
    ['C(10)', '8-11/*', 'C(12)'],
    ['C(10)', '8-11/20', 'I(12/20)'],
    // f = N
    ['I(4/10)', '4-5/*', 'I(6/10)'],
    ['I(4/10)', '4-9/*', 'C(10)'],
    ['I(4/*)', '4-5/*', 'I(6/*)'],
    ['I(4/*)', '4-5/6', 'C(6)'],
    ['I(0/3)', '0-2/3', 'C(3)'],
    ['C(10)', '10-11/12', 'C(12)'],
    ['C(10)', '10-11/*', 'C(12)'],
    ['C(10)', '10-11/20', 'I(12/20)'],
    // f > N
    ['∅', '4-5/*', 'ERR_NOT_FOUND'],
    ['I(4/10)', '5-6/10', 'ERR_GAP'],
    ['I(4/*)', '5-6/*', 'ERR_GAP'],
    ['I(0/10)', '1-2/10', 'ERR_GAP'],
    ['C(10)', '11-12/13', 'ERR_GAP'],
    ['C(10)', '11-12/*', 'ERR_GAP'],
    // bytes */t
    ['∅', '*/0', 'C(0)'],
    ['∅', '*/10', 'I(0/10)'],
    ['I(4/*)', '*/4', 'C(4)'],
    ['I(4/*)', '*/10', 'I(4/10)'],
    ['I(4/*)', '*/3', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '*/10', 'I(4/10)'],
    ['I(4/10)', '*/9', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '*/4', 'ERR_COMPLETE_LENGTH'],
    ['I(0/10)', '*/0', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '*/10', 'C(10)'],
    ['C(10)', '*/4', 'C(4)'],
    ['C(10)', '*/0', 'C(0)'],
    ['C(10)', '*/20', 'I(10/20)'],
    // All bytes are stored, but the resource is incomplete, because the app has failed or has kept
    // it so.
    ['I(4/4)', '2-3/4', 'C(4)'],
    ['I(4/4)', '*/4', 'C(4)'],
  ])('changes %s with %s to %s', (given, part, then) => {
    expect(outcome(given, part)).toBe(then)
  })

  it.each<Row>([
    ['C(10)', '*/4', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '*/10', 'C(10)'],
    ['C(10)', '*/20', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '0-3/20', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '10-11/12', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '8-9/10', 'C(10)'],
    ['I(4/*)', '4-5/20', 'I(6/20)'],
  ])(
    'that keeps the length of a finished resource changes %s with %s to %s',
    (given, part, then) => {
      expect(outcome(given, part, { finished: 'same-length' })).toBe(then)
    },
  )
})

describe('several parts', () => {
  it.each<Row>([
    ['∅', '0-1/4 2-3/4', 'C(4)'],
    ['∅', '2-3/4 0-1/4', 'C(4)'],
    ['∅', '4-5/8 2-3/* 0-1/*', 'I(6/8)'],
    ['∅', '2-3/8 5-6/8 0-1/8', 'ERR_GAP'],
    ['∅', '2-3/8 5-6/8', 'ERR_NOT_FOUND'],
    ['∅', '2-3/8', 'ERR_NOT_FOUND'],
    ['∅', '0-1/* */2', 'C(2)'],
    ['∅', '0-1/* */5', 'I(2/5)'],
    ['∅', '*/4 0-3/*', 'C(4)'],
    ['I(4/10)', '6-9/10 4-5/10', 'C(10)'],
    ['I(4/10)', '6-7/* 2-5/*', 'I(8/10)'],
    ['I(4/*)', '6-7/* 4-5/* */8', 'C(8)'],
    ['C(10)', '12-13/* 10-11/*', 'C(14)'],
    ['C(10)', '12-13/14 10-11/*', 'C(14)'],
    ['C(10)', '0-1/20 2-3/20', 'I(10/20)'],
    ['C(32)', '2-2/34 32-33/34', 'C(34)'],
    ['C(10)', '*/4 0-1/4', 'C(4)'],
    // The range of each part must fit the length that any other part declares.
    ['∅', '2-3/* 0-1/2', 'ERR_COMPLETE_LENGTH'],
    ['∅', '2-3/* 0-0/3', 'ERR_COMPLETE_LENGTH'],
    ['∅', '2-3/* */3', 'ERR_COMPLETE_LENGTH'],
    ['∅', '2-9/* 3-4/* */6', 'ERR_COMPLETE_LENGTH'],
    ['I(4/*)', '6-7/* 4-5/6', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '12-13/* 10-11/12', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '12-13/* */12', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '12-13/* */4', 'ERR_COMPLETE_LENGTH'],
    // A length that is reached in the middle of the patch also limits the rest of it.
    ['∅', '0-3/4 4-4/*', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '4-9/* 10-10/*', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '4-9/* 10-11/12', 'ERR_COMPLETE_LENGTH'],
    ['I(4/10)', '4-9/* */8', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '10-11/12 12-12/*', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '*/4 4-5/*', 'ERR_COMPLETE_LENGTH'],
    ['C(10)', '10-11/* 12-12/*', 'C(13)'],
  ])('change %s with %s to %s', (given, parts, then) => {
    expect(outcome(given, parts)).toBe(then)
  })

  it('change the resource as the reference changes plain bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('∅', 'I(0/6)', 'I(3/9)', 'I(3/*)', 'I(4/4)', 'C(0)', 'C(5)'),
        fc.array(partText(), { minLength: 1, maxLength: 5 }),
        (given, parts) => {
          expect(outcome(given, parts.join(' '))).toBe(modelOutcome(given, parts))
        },
      ),
      { numRuns: 5000 },
    )
  })
})

describe('a refusal', () => {
  it('of a gap reports where to resume, with the status that the app chose', () => {
    expect(refusal('I(4/10)', '6-7/10', { gapStatus: 416 })).toMatchObject({
      code: 'ERR_GAP',
      status: 416,
      members: { 'expected-offset': 4, 'provided-offset': 6 },
    })
  })

  it('of a range without a resource asks to begin at 0, with 404 for every gapStatus', () => {
    expect(refusal('∅', '6-7/10', { gapStatus: 416 })).toMatchObject({
      code: 'ERR_NOT_FOUND',
      status: 404,
      members: { received: 0, 'expected-offset': 0, 'provided-offset': 6 },
    })
  })
})

/** The state after all parts, or the code of the refusal. */
function outcome(given: string, parts: string, rules: Partial<TransitionRules> = {}): string {
  const base = resource(given)
  const all = { ...RULES, ...rules }
  try {
    let progress = progressOf(base)
    for (const [index, text] of parts.split(' ').entries()) {
      progress = advance(progress, part(text, index), all)
    }
    checkWhole(base, progress, all)
    return notation(progress)
  } catch (error) {
    if (error instanceof UploadError) return error.code
    throw error
  }
}

function refusal(given: string, text: string, rules: Partial<TransitionRules> = {}): unknown {
  const base = resource(given)
  const all = { ...RULES, ...rules }
  try {
    checkWhole(base, advance(progressOf(base), part(text), all), all)
  } catch (error) {
    return error
  }
  return null
}

function resource(state: string): ResourceInfo | null {
  const { kind, size, length } = parseState(state)
  if (kind === '∅') return null
  return {
    size,
    complete: kind === 'C',
    everComplete: kind === 'C',
    completeLength: length,
    contentType: null,
    contentDisposition: null,
    reprDigest: null,
    owner: null,
    etag: '"1"',
    lastModified: new Date(0),
  }
}

function notation({ size, complete, completeLength }: ReturnType<typeof progressOf>): string {
  if (!complete) return `I(${size}/${completeLength ?? '*'})`
  return completeLength === size ? `C(${size})` : `C(${size}, but ${completeLength})`
}

function part(text: string, index = 0): Part {
  return {
    index,
    target: target(text),
    contentType: null,
    contentDisposition: null,
    contentDigest: null,
    reprDigest: null,
  }
}

function target(text: string): PartTarget {
  const [, first, last, length] = /^(?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(text) ?? []
  const completeLength = length === '*' ? null : Number(length)
  if (first === undefined) return { kind: 'size', completeLength: completeLength ?? Number.NaN }
  return { kind: 'range', start: Number(first), end: Number(last) + 1, completeLength }
}

function partText(): fc.Arbitrary<string> {
  const range = fc
    .tuple(fc.nat(9), fc.integer({ min: 1, max: 5 }), fc.option(fc.nat(4)))
    .map(([start, length, more]) => {
      const end = start + length
      return `${start}-${end - 1}/${more === null ? '*' : end + more}`
    })
  return fc.oneof(
    { weight: 4, arbitrary: range },
    fc.nat(12).map((length) => `*/${length}`),
  )
}

/** A second implementation: an array with one flag per byte, which says whether the byte exists. */
function modelOutcome(given: string, parts: readonly string[]): string {
  const base = resource(given)
  const isThere: boolean[] = Array.from({ length: base?.size ?? 0 }, () => true)
  // What the length must be; null as long as it follows from the bytes, or is unknown.
  let declared = base === null || base.complete ? null : base.completeLength

  for (const text of parts) {
    const { kind, completeLength, ...range } = { start: 0, end: 0, ...target(text) }
    const end = isThere.lastIndexOf(true) + 1
    const isFree = base?.complete === true && declared === null
    if (completeLength !== null) {
      if (declared !== null && completeLength !== declared) return 'ERR_COMPLETE_LENGTH'
      const isCut = kind === 'size' && isFree && end === leading(isThere)
      if (completeLength < end && !isCut) return 'ERR_COMPLETE_LENGTH'
      declared = completeLength
      isThere.length = Math.min(isThere.length, declared)
    }
    if (declared !== null && range.end > declared) return 'ERR_COMPLETE_LENGTH'
    for (let at = range.start; at < range.end; at++) isThere[at] = true
  }

  const size = leading(isThere)
  if (isThere.lastIndexOf(true) >= size) {
    return base === null && size === 0 ? 'ERR_NOT_FOUND' : 'ERR_GAP'
  }
  const isFinished = base?.complete === true && declared === null
  return isFinished || size === declared ? `C(${size})` : `I(${size}/${declared ?? '*'})`
}

function leading(isThere: readonly boolean[]): number {
  const gap = isThere.findIndex((there) => !there)
  return gap === -1 ? isThere.length : gap
}
