import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeCloseDelimiter, encodePartHeader } from '../../src/media/encode.ts'
import { createPartParser } from '../../src/media/parse.ts'
import type { PartParser } from '../../src/media/part.ts'
import { everySplit, parseChunks, toBytes } from '../support/every-split.ts'

const OPTIONS = { maxParts: 8, maxPartHeaderSize: 8192, maxSize: 1e6, contentLength: null }

function parser(boundary: string): PartParser {
  return createPartParser([`multipart/byteranges; boundary="${boundary}"`], OPTIONS).parser
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

test('writes delimiter, fields and blank line', () => {
  expect(text(encodePartHeader('B', 'text/plain', 2, 6, 10))).toBe(
    '\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 2-5/10\r\n\r\n',
  )
  expect(text(encodePartHeader('B', 'a/b', 0, 1, null))).toBe(
    '\r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/*\r\n\r\n',
  )
  expect(text(encodeCloseDelimiter('B'))).toBe('\r\n--B--\r\n')
})

test('writes a document that a PATCH accepts', () => {
  const content =
    text(encodePartHeader('B', 'text/plain; charset=utf-8', 2, 4, 10)) +
    'cd' +
    text(encodePartHeader('B', 'text/plain; charset=utf-8', 8, 10, 10)) +
    '\r\n' +
    text(encodeCloseDelimiter('B'))
  const expected = [
    { start: 2, end: 4, data: 'cd' },
    { start: 8, end: 10, data: '\r\n' },
  ].map(({ start, end, data }) => ({
    target: { kind: 'range', start, end, completeLength: 10 },
    contentType: 'text/plain; charset=utf-8',
    contentDisposition: null,
    contentDigest: null,
    reprDigest: null,
    data,
  }))

  expect(everySplit(() => parser('B'), content)).toEqual({ parts: expected })
  expect(
    everySplit(() => createPartParser(['multipart/byteranges'], OPTIONS).parser, content),
  ).toEqual({ parts: expected })
})

/** Data full of what a delimiter is made of. */
const data = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', '-', '--', '--B', '\r\n--B', '\r\n--Bx', ' ', 'x'), {
    minLength: 1,
    maxLength: 12,
  })
  .map((pieces) => pieces.join(''))
  // The dot keeps the data from running into the delimiter that follows it.
  .map((joined) => `${joined}.`)
  .filter((joined) => !/(?:^|\r\n)--B(?:--)?[ \t]*(?:\r\n|$)/.test(joined))

test('keeps any data under any chunking', () => {
  const ranges = fc.array(fc.record({ start: fc.nat(1000), data }), { minLength: 1, maxLength: 5 })

  fc.assert(
    fc.property(ranges, fc.array(fc.nat(1000), { maxLength: 20 }), (parts, cuts) => {
      const content = parts.map(
        (part) =>
          text(encodePartHeader('B', 'a/b', part.start, part.start + part.data.length, 2000)) +
          part.data,
      )
      const bytes = toBytes(content.join('') + text(encodeCloseDelimiter('B')))
      const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b)
      const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))

      const outcome = parseChunks(parser('B'), chunks)

      expect(outcome).toEqual({
        parts: parts.map((part) => ({
          target: {
            kind: 'range',
            start: part.start,
            end: part.start + part.data.length,
            completeLength: 2000,
          },
          contentType: 'a/b',
          contentDisposition: null,
          contentDigest: null,
          reprDigest: null,
          data: part.data,
        })),
      })
    }),
  )
})

test('has one result for any bytes under any chunking', () => {
  const piece = fc.constantFrom(
    '--B',
    '\r\n',
    '\r',
    '\n',
    '--',
    ' ',
    ':',
    'ab',
    '\r\n--B\r\n',
    '\r\n--B--',
    'Content-Range: bytes 0-1/2\r\n\r\n',
    'Content-Range: bytes */2\r\n\r\n',
  )
  const types = ['message/byteranges', 'multipart/byteranges', 'multipart/byteranges; boundary=B']

  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom(...types), (pieces, type) => {
      const create = () => createPartParser([type], OPTIONS).parser

      expect(everySplit(create, pieces.join(''))).toBeDefined()
    }),
    { numRuns: 300 },
  )
})
