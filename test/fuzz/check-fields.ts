/**
 * Checks the parser of each field: against the reference, a simple implementation, or its own
 * result.
 */
import assert from 'node:assert/strict'

import { UploadError } from '../../src/errors.ts'
import {
  dispositionName,
  isSameDisposition,
  readContentDisposition,
} from '../../src/fields/content-disposition.ts'
import { parseContentOffset } from '../../src/fields/content-offset.ts'
import {
  formatContentRange,
  formatUnsatisfiedRange,
  parseContentRange,
  parseRangeAlias,
} from '../../src/fields/content-range.ts'
import { isSameMediaType, parseMediaType, type MediaType } from '../../src/fields/content-type.ts'
import { formatDigest, parseDigest } from '../../src/fields/digest.ts'
import { matchesStrongly, matchesWeakly } from '../../src/fields/entity-tag.ts'
import { formatHttpDate, parseHttpDate } from '../../src/fields/http-date.ts'
import { preferredTransaction } from '../../src/fields/prefer.ts'
import { selectRanges } from '../../src/fields/range.ts'
import { isToken, parseSafeInteger, trimWhitespace } from '../../src/fields/syntax.ts'
import type { PartTarget } from '../../src/media/part.ts'
import {
  referenceDigest,
  referenceMediaType,
  referenceOffset,
  referenceRange,
} from './reference-header.ts'

/** Checks by the name of the field; each takes any value. */
export const FIELD_CHECKS = {
  'content-range': (value) => checkTarget(value, parseContentRange, false),
  'range-in-part': (value) => checkTarget(value, parseRangeAlias, true),
  'content-type': checkMediaType,
  'content-disposition': checkDisposition,
  digest: checkDigest,
  'if-match': checkEntityTags,
  date: checkDate,
  prefer: checkPrefer,
  range: checkRange,
  syntax: checkSyntax,
  'content-offset': checkOffset,
} as const satisfies Readonly<Record<string, (value: string) => void>>

const TAG = '"abc,"'

function checkTarget(value: string, parse: (value: string) => PartTarget, isRange: boolean): void {
  const expected = referenceRange(value, isRange)
  const target = attempt(() => parse(value))
  if (target === null || expected === null) {
    assert.equal(target, expected)
    return
  }
  assert(target.kind !== 'open')
  const { completeLength } = target
  const range = target.kind === 'range' ? [BigInt(target.start), BigInt(target.end)] : null
  const length = completeLength === null ? null : BigInt(completeLength)
  assert.deepEqual({ range, completeLength: length }, expected)
  const written =
    target.kind === 'range'
      ? formatContentRange(target.start, target.end, completeLength)
      : formatUnsatisfiedRange(target.completeLength)
  assert.deepEqual(parseContentRange(written), target)
}

function checkOffset(value: string): void {
  const target = attempt(() => parseContentOffset(value))
  const expected = referenceOffset(value)
  if (target === null || expected === null) {
    assert.equal(target, expected)
    return
  }
  assert(target.kind === 'open')
  assert.deepEqual([target.start, target.completeLength], expected)
}

function checkMediaType(value: string): void {
  const mediaType = parseMediaType(value)
  const canonical = mediaType && format(mediaType)
  assert.equal(mediaType && canonicalOf(mediaType), referenceMediaType(value))
  if (mediaType === null || canonical === null) return
  const again = parseMediaType(canonical)
  assert(again !== null && isSameMediaType(again, mediaType) && isSameMediaType(mediaType, again))
}

function checkDisposition(value: string): void {
  const read = attempt(() => readContentDisposition([value]))
  if (read === null) return
  // The value is sent back as a field, and the name may become that of a file.
  assert.match(read, /^[\t -~]{1,1024}$/)
  assert.equal(readContentDisposition([read]), read)
  assert(isSameDisposition(read, read))
  assert.doesNotMatch(dispositionName(read) ?? '', /[/\\\p{Cc}]|^\.\.?$/u)
}

function format({ type, parameters }: MediaType): string {
  const quote = (value: string) => `"${value.replace(/["\\]/g, '\\$&')}"`
  return [type, ...[...parameters].map(([name, value]) => `${name}=${quote(value)}`)].join(';')
}

function canonicalOf({ type, parameters }: MediaType): string {
  return JSON.stringify([type, [...parameters].sort(([a], [b]) => (a < b ? -1 : 1))])
}

function checkDigest(value: string): void {
  const digests = attempt(() => parseDigest(value))
  const expected = referenceDigest(value)
  assert.equal(digests === null, expected === null)
  for (const digest of digests ?? []) {
    const base64 = Buffer.from(digest.value).toString('base64')
    assert.equal(base64.replace(/=+$/, ''), significant(expected?.get(digest.algorithm) ?? ''))
    assert.deepEqual(parseDigest(formatDigest(digest)), [digest])
  }
}

/** Returns the base64 without padding, and with unused bits set to 0. */
function significant(base64: string): string {
  return Buffer.from(base64, 'base64').toString('base64').replace(/=+$/, '')
}

function checkEntityTags(value: string): void {
  const strong = matchesStrongly(value, TAG)
  const weak = matchesWeakly(value, TAG)
  assert(!strong || weak, 'what matches strongly matches weakly')
  assert.equal(matchesStrongly(value, `W/${TAG}`), false)
  assert.equal(matchesWeakly(value, `W/${TAG}`), weak)
  const list = /^(?:[ \t]*(?:(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*)?(?:,|$))*$/
  if (!list.test(value)) return
  const tags = [...value.matchAll(/(W\/)?"([^"]*)"/g)].filter((tag) => `"${tag[2]}"` === TAG)
  assert.equal(weak, tags.length > 0)
  assert.equal(
    strong,
    tags.some((tag) => tag[1] === undefined),
  )
}

function checkDate(value: string): void {
  const now = new Date('2026-11-23T00:00:00Z')
  const date = parseHttpDate(value, now)
  if (date === null) return
  assert(!Number.isNaN(date.getTime()))
  assert.equal(parseHttpDate(formatHttpDate(date), now)?.getTime(), date.getTime())
  if (/-\d\d-\d\d-\d\d /.test(value)) assert(date.getUTCFullYear() <= 2077)
}

function checkPrefer(value: string): void {
  const transaction = preferredTransaction(value)
  assert([null, 'atomic', 'persist'].includes(transaction))
  if (transaction !== null) assert(new RegExp(`transaction.*${transaction[0]}`, 'is').test(value))
  const name = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
  const simple = new RegExp(`^${name}(?:=${name})?(?:,${name}(?:=${name})?)*$`)
  if (!simple.test(value)) return
  const found = value.split(',').find((preference) => /^transaction(?:=|$)/i.test(preference))
  const word = found?.split('=')[1]
  assert.equal(transaction, word === 'atomic' || word === 'persist' ? word : null)
}

/** Compares the selection with a set of positions, on small representations. */
function checkRange(value: string): void {
  for (const size of [0, 1, 10, 64]) {
    const selection = selectRanges(value, size, 4)
    const expected = naiveSelection(value, size, 4)
    if (selection.kind !== 'ranges' || typeof expected === 'string') {
      assert.equal(selection.kind, expected)
      continue
    }
    const positions = selection.ranges.flatMap(({ start, end }) =>
      Array.from({ length: end - start }, (_, index) => start + index),
    )
    assert.equal(new Set(positions).size, positions.length, 'no overlap')
    assert.deepEqual(new Set(positions), expected)
    for (const { start, end } of selection.ranges) {
      assert(start >= 0 && start < end && end <= size)
      assert(!selection.ranges.some((other) => other.end === start), 'no range touches another')
    }
  }
}

function naiveSelection(value: string, size: number, most: number): string | ReadonlySet<number> {
  const specs = value
    .replace(/^bytes=/i, '')
    .split(',')
    .map((spec) => spec.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((spec) => spec !== '')
  const isList = /^bytes=/i.test(value) && specs.length > 0 && specs.length <= most
  if (!isList || size === 0 || !specs.every(isSpec)) return 'whole'
  const positions = new Set<number>()
  for (let position = 0; position < size; position++) {
    if (specs.some((spec) => includes(spec, position, size))) positions.add(position)
  }
  return positions.size === 0 ? 'unsatisfiable' : positions
}

function isSpec(spec: string): boolean {
  const [, first = '', last = ''] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  if (first === '' || last === '') return first !== last
  return BigInt(first) <= BigInt(last)
}

function includes(spec: string, position: number, size: number): boolean {
  const [first = '', last = ''] = spec.split('-')
  if (first === '') return BigInt(position) >= BigInt(size) - BigInt(last)
  return BigInt(position) >= BigInt(first) && (last === '' || BigInt(position) <= BigInt(last))
}

function checkSyntax(value: string): void {
  assert.equal(isToken(value), /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) && !value.includes('\n'))
  assert.equal(trimWhitespace(value), value.replace(/^[ \t]+/, '').replace(/[ \t]+$/, ''))
  if (!/^[0-9]+$/.test(value)) return
  const number = parseSafeInteger(value)
  const isSafe = BigInt(value) <= BigInt(Number.MAX_SAFE_INTEGER)
  assert.equal(number === null ? null : BigInt(number), isSafe ? BigInt(value) : null)
}

/** Returns the result; null after an `UploadError`. Every other error fails the check. */
function attempt<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof UploadError) return null
    throw error
  }
}
