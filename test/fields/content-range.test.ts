import { describe, expect, test } from 'vitest'
import {
  formatContentRange,
  formatUnsatisfiedRange,
  parseContentRange,
  parseRangeAlias,
} from '../../src/fields/content-range.ts'

const range = (start: number, end: number, completeLength: number | null) => ({
  kind: 'range',
  start,
  end,
  completeLength,
})
const size = (completeLength: number) => ({ kind: 'size', completeLength })

describe('parseContentRange', () => {
  test.each([
    ['bytes 5-9/20', range(5, 10, 20)],
    ['bytes 5-9/*', range(5, 10, null)],
    ['bytes 0-0/1', range(0, 1, 1)],
    ['bytes */20', size(20)],
    ['bytes */0', size(0)],
    ['BYTES 5-9/20', range(5, 10, 20)],
    ['bytes  \t5-9/20', range(5, 10, 20)],
    [' bytes 5-9/20\t', range(5, 10, 20)],
    ['bytes 005-09/00020', range(5, 10, 20)],
    [`bytes 0-${'0'.repeat(30)}9/*`, range(0, 10, null)],
    ['5-9/20', range(5, 10, 20)],
    ['5-9/*', range(5, 10, null)],
    ['*/20', size(20)],
    ['bytes 0-9007199254740990/*', range(0, Number.MAX_SAFE_INTEGER, null)],
    [
      'bytes 0-9007199254740990/9007199254740991',
      range(0, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    ],
    ['bytes */9007199254740991', size(Number.MAX_SAFE_INTEGER)],
  ])('reads %j', (value, target) => {
    expect(parseContentRange(value)).toEqual(target)
  })

  test.each([
    '',
    'bytes',
    'bytes ',
    'bytes 5-9',
    'bytes 5-/20',
    'bytes -9/20',
    'bytes 5/20',
    'bytes */*',
    'bytes *',
    'bytes=5-9/20',
    'bytes5-9/20',
    'bytes: 5-9/20',
    'bytes +5-9/20',
    'bytes 5--9/20',
    'bytes 5-9/-20',
    'bytes 0x5-9/20',
    'bytes 5-9e1/200',
    'bytes 5.0-9/20',
    'bytes 5 -9/20',
    'bytes 5- 9/20',
    'bytes 5-9 /20',
    'bytes 5-9/ 20',
    'bytes 5-9/20 x',
    'bytes 5-9/20, bytes 5-9/20',
    'bytes 5-9/20,',
    'bytes 1-2,5-9/20',
    '5-9 /20',
    '5 -9/20',
    '* /20',
    'bytes \uff15-9/20',
    'bytes\u00a05-9/20',
    'bytes 5-3/20',
    'bytes 20-18/20',
    'bytes 5-9/9',
    'bytes 5-9/0',
    'bytes 0-9007199254740991/*',
    'bytes 0-9007199254740992/*',
    'bytes 9007199254740992-9007199254740993/*',
    'bytes 0-0/9007199254740992',
    'bytes */9007199254740992',
    `bytes 0-0/${'9'.repeat(400)}`,
  ])('rejects %j', (value) => {
    expect(() => parseContentRange(value)).toThrow(
      expect.objectContaining({ code: 'ERR_RANGE', status: 400 }),
    )
  })

  test.each(['items 5-9/20', 'seconds */20', 'byte 5-9/20', 'x nonsense'])(
    'rejects the unit of %j',
    (value) => {
      expect(() => parseContentRange(value)).toThrow(
        expect.objectContaining({ code: 'ERR_RANGE_UNIT', status: 422 }),
      )
    },
  )

  test.each([
    ['bytes 9-5/20', 'the range ends at 5, before its start at 9'],
    ['bytes 5-9/9', 'bytes 5-9 do not fit in a complete length of 9'],
    ['bytes 0-9007199254740991/*', 'a number of the range is larger than 2^53 - 1'],
    ['nonsense', 'the Content-Range does not read "bytes first-last/complete-length"'],
  ])('says what is wrong with %j', (value, detail) => {
    expect(() => parseContentRange(value)).toThrow(detail)
  })
})

describe('parseRangeAlias', () => {
  test.each([
    ['bytes=0-199', range(0, 200, null)],
    ['BYTES=00-0199 ', range(0, 200, null)],
    ['bytes 0-199/600', range(0, 200, 600)],
    ['bytes 0-199/*', range(0, 200, null)],
    ['0-199/600', range(0, 200, 600)],
    ['bytes */600', size(600)],
  ])('reads %j', (value, target) => {
    expect(parseRangeAlias(value)).toEqual(target)
  })

  test.each([
    '',
    'bytes=',
    'bytes=0-',
    'bytes=-199',
    'bytes=0-199,',
    'bytes=0-1,3-4',
    'bytes=0-199/600',
    'bytes= 0-199',
    'bytes=0 -199',
    'bytes =0-199',
    'bytes=5-3',
    'bytes=1x-2',
    'bytes=0--1',
    'bytes=0-9007199254740991',
    'bytes 0-199',
  ])('rejects %j', (value) => {
    expect(() => parseRangeAlias(value)).toThrow(
      expect.objectContaining({ code: 'ERR_RANGE', status: 400 }),
    )
  })

  test.each(['items=0-199', 'items 0-199/600'])('rejects the unit of %j', (value) => {
    expect(() => parseRangeAlias(value)).toThrow(
      expect.objectContaining({ code: 'ERR_RANGE_UNIT', status: 422 }),
    )
  })
})

test('formatContentRange writes the last position and the length', () => {
  expect(formatContentRange(5, 10, 20)).toBe('bytes 5-9/20')
  expect(formatContentRange(0, 1, null)).toBe('bytes 0-0/*')
})

test('formatUnsatisfiedRange writes the length', () => {
  expect(formatUnsatisfiedRange(0)).toBe('bytes */0')
  expect(formatUnsatisfiedRange(600)).toBe('bytes */600')
})
