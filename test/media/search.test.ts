import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createNeedle, indexOf, partialLength } from '../../src/media/search.ts'
import { toBytes } from '../support/every-split.ts'

const boundary = fc
  .array(fc.constantFrom('a', 'b', '-', ' '), { minLength: 1, maxLength: 70 })
  .map((characters) => characters.join(''))
const pieces = fc.array(fc.constantFrom('\r', '\n', '-', 'a', 'b', ' ', '\r\n--', 0), {
  maxLength: 60,
})

test('finds what String.indexOf finds', () => {
  fc.assert(
    fc.property(boundary, pieces, fc.nat(20), (text, list, start) => {
      const chunk = list.map((piece) => (piece === 0 ? `\r\n--${text}` : piece)).join('')
      const needle = createNeedle(text)

      const found = indexOf(toBytes(chunk), needle, Math.min(start, chunk.length))

      expect(found).toBe(chunk.indexOf(`\r\n--${text}`, Math.min(start, chunk.length)))
    }),
  )
})

test('reports the longest end that begins the delimiter', () => {
  fc.assert(
    fc.property(boundary, pieces, fc.nat(80), fc.nat(20), (text, list, length, start) => {
      const delimiter = `\r\n--${text}`
      const chunk = list.filter((piece) => piece !== 0).join('') + delimiter.slice(0, length)
      const from = Math.min(start, chunk.length)
      const lengths = Array.from({ length: delimiter.length }, (_, index) => index)
      const expected = lengths.findLast(
        (candidate) =>
          candidate <= chunk.length - from && chunk.endsWith(delimiter.slice(0, candidate)),
      )

      expect(partialLength(toBytes(chunk), createNeedle(text), from)).toBe(expected)
    }),
  )
})
