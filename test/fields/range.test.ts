import { describe, expect, test } from 'vitest'
import { selectRanges } from '../../src/fields/range.ts'

const WHOLE = { kind: 'whole' }
const UNSATISFIABLE = { kind: 'unsatisfiable' }
const ranges = (...pairs: readonly (readonly [start: number, end: number])[]) => ({
  kind: 'ranges',
  ranges: pairs.map(([start, end]) => ({ start, end })),
})

describe('selects from 10 bytes', () => {
  test.each([
    ['bytes=0-3', ranges([0, 4])],
    ['BYTES=0-3', ranges([0, 4])],
    ['bytes=3-3', ranges([3, 4])],
    ['bytes=003-04', ranges([3, 5])],
    ['bytes=3-', ranges([3, 10])],
    ['bytes=0-9', ranges([0, 10])],
    ['bytes=0-10', ranges([0, 10])],
    ['bytes=9-99999999999999999999999', ranges([9, 10])],
    ['bytes=-3', ranges([7, 10])],
    ['bytes=-10', ranges([0, 10])],
    ['bytes=-11', ranges([0, 10])],
    ['bytes=-99999999999999999999999', ranges([0, 10])],
    ['bytes=0-1,4-5', ranges([0, 2], [4, 6])],
    ['bytes=4-5,0-1', ranges([4, 6], [0, 2])],
    ['bytes= 0-1 \t,,\t 4-5 ,', ranges([0, 2], [4, 6])],
    ['bytes=0-4,2-6', ranges([0, 7])],
    ['bytes=0-4,5-6', ranges([0, 7])],
    ['bytes=0-4,-7', ranges([0, 10])],
    ['bytes=20-30,0-1', ranges([0, 2])],
    ['bytes=0-1,-0', ranges([0, 2])],
  ])('%j', (field, selection) => {
    expect(selectRanges(field, 10, 4)).toEqual(selection)
  })

  test.each([
    'bytes=10-',
    'bytes=10-20',
    'bytes=99999999999999999999999-',
    'bytes=99999999999999999999998-99999999999999999999999',
    'bytes=-0',
    'bytes=-000',
    'bytes=10-,20-30',
  ])('nothing by %j', (field) => {
    expect(selectRanges(field, 10, 4)).toEqual(UNSATISFIABLE)
  })

  test.each([
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=3',
    'bytes=5-4',
    'bytes=99999999999999999999999-99999999999999999999998',
    'bytes=1x-2',
    'bytes=1-2x',
    'bytes=x-2',
    'bytes=--5',
    'bytes=1--2',
    'bytes=1-2-3',
    'bytes=+1-2',
    'bytes=1.5-2',
    'bytes=0x1-2',
    'bytes=1e0-2',
    'bytes=1 -2',
    'bytes=1- 2',
    'bytes=- 2',
    'bytes=\u00a01-2',
    'bytes=0-1;4-5',
    'bytes=0-1,x',
    'bytes=20-30,5-4',
    'bytes =0-1',
    ' bytes=0-1',
    'bytes 0-1',
    'items=0-1',
    '=0-1',
    'bytes=0-0,2-2,4-4,6-6,8-8',
  ])('all bytes by %j', (field) => {
    expect(selectRanges(field, 10, 4)).toEqual(WHOLE)
  })
})

test('selects all of an empty representation', () => {
  expect(selectRanges('bytes=0-', 0, 4)).toEqual(WHOLE)
  expect(selectRanges('bytes=-5', 0, 4)).toEqual(WHOLE)
})

test('counts the ranges before it combines them', () => {
  expect(selectRanges('bytes=0-1,1-2,2-3,3-4', 10, 4)).toEqual(ranges([0, 5]))
  expect(selectRanges('bytes=0-1,1-2,2-3,3-4,4-5', 10, 4)).toEqual(WHOLE)
})

test('keeps positions near the largest safe number exact', () => {
  const size = Number.MAX_SAFE_INTEGER

  expect(selectRanges(`bytes=${size - 1}-`, size, 4)).toEqual(ranges([size - 1, size]))
  expect(selectRanges('bytes=-1', size, 4)).toEqual(ranges([size - 1, size]))
})
