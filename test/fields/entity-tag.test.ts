import { expect, test } from 'vitest'
import { matchesStrongly, matchesWeakly } from '../../src/fields/entity-tag.ts'

test.each([
  ['"a"', '"a"', true, true],
  ['"b"', '"a"', false, false],
  ['W/"a"', '"a"', false, true],
  ['"a"', 'W/"a"', false, true],
  ['W/"a"', 'W/"a"', false, true],
  ['"b", "a"', '"a"', true, true],
  ['"b","a" , "c"', '"a"', true, true],
  [' \t"a"\t ', '"a"', true, true],
  [',, "b",, "a",', '"a"', true, true],
  ['W/"a", "a"', '"a"', true, true],
  ['"a,b"', '"a,b"', true, true],
  ['"a,b"', '"a"', false, false],
  ['""', '""', true, true],
  ['"\xe9"', '"\xe9"', true, true],
  ['', '"a"', false, false],
  ['*', '"a"', false, false],
  ['a', '"a"', false, false],
  ['w/"a"', '"a"', false, false],
  ['W/ "a"', '"a"', false, false],
  ['W/a', '"a"', false, false],
  ["'a'", '"a"', false, false],
  ['"a', '"a"', false, false],
  ['a"', '"a"', false, false],
  ['"a"x', '"a"', false, false],
  ['x"a"', '"a"', false, false],
  ['"b""a"', '"a"', false, false],
  ['"b" "a"', '"a"', false, false],
  ['"a b"', '"a b"', false, false],
  ['"b"x, "a"', '"a"', true, true],
  ['garbage, "a"', '"a"', true, true],
  ['"A"', '"a"', false, false],
])('%j lists %j: strongly %j, weakly %j', (field, etag, strongly, weakly) => {
  expect(matchesStrongly(field, etag)).toBe(strongly)
  expect(matchesWeakly(field, etag)).toBe(weakly)
})
