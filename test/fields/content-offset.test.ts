import { describe, expect, test } from 'vitest'

import { parseContentOffset } from '../../src/fields/content-offset.ts'

describe('accepts', () => {
  test.each([
    ['0', 0, null],
    ['-0', 0, null],
    ['007', 7, null],
    [' 200 ', 200, null],
    ['200;complete-length=600', 200, 600],
    ['200;  complete-length=600', 200, 600],
    ['200;complete-length=200', 200, 200],
    ['0;complete-length=0', 0, 0],
    ['0;complete-length=-0', 0, 0],
    ['200;unit=bytes', 200, null],
    ['200;unit=Bytes;complete-length=600', 200, 600],
    ['200;unit=lines;unit=bytes', 200, null],
    ['200;complete-length=1;complete-length=600', 200, 600],
    ['200;a;b=?0;c="x;y";d=1.5;e=:YQ==:;*f.g_h-i=t/o:k', 200, null],
    ['999999999999999', 999_999_999_999_999, null],
    ['0;complete-length=999999999999999', 0, 999_999_999_999_999],
  ])('%j', (value, start, completeLength) => {
    expect(parseContentOffset(value)).toEqual({ kind: 'open', start, completeLength })
  })
})

describe('rejects', () => {
  test.each([
    '',
    '-1',
    '+1',
    '1.0',
    '0x1',
    '"1"',
    '1, 2',
    '(1 2)',
    'bytes 1',
    '1000000000000000',
    '1 ;a',
    '1;',
    '1;A=1',
    '1;a=',
    '1;a =1',
    '1;a="',
    '1;complete-length',
    '1;complete-length="600"',
    '1;complete-length=600.0',
    '1;complete-length=-600',
    '1;complete-length=*',
    '1;complete-length=1000000000000000',
    '200;complete-length=199',
    '1;unit',
    '1;unit="bytes"',
    '1;unit=1',
  ])('%j with 400', (value) => {
    expect(() => parseContentOffset(value)).toThrow(
      expect.objectContaining({ code: 'ERR_RANGE', status: 400 }),
    )
  })

  test.each(['1;unit=lines', '1;unit=bytes;unit=b', '1;unit=*'])('%j with 422', (value) => {
    expect(() => parseContentOffset(value)).toThrow(
      expect.objectContaining({ code: 'ERR_RANGE_UNIT', status: 422 }),
    )
  })
})
