import { describe, expect, test } from 'vitest'

import { createPartParser } from '../../src/media/parse.ts'
import type { PartParser } from '../../src/media/part.ts'
import { hex, indeterminate, known, range, sized, varint } from '../support/binary.ts'
import { everySplit } from '../support/every-split.ts'

const LIMITS = { maxParts: 3, maxPartHeaderSize: 200, maxSize: 100_000, contentLength: null }

function parser(): PartParser {
  return createPartParser(['application/byteranges'], LIMITS).parser
}

const target = (start: number, end: number, completeLength: number | null) => ({
  kind: 'range',
  start,
  end,
  completeLength,
})
const C32 = target(2, 3, 32)
const C25 = target(2, 7, 25)
const DATA = 'x'.repeat(100)

describe('reads', () => {
  test.each([
    [
      'one byte',
      hex(`08 2c 0d 436f6e74656e742d52616e6765 0c 627974657320322d322f3332
           0e 436f6e74656e742d4c656e677468 01 31 01 ff`),
      [{ target: C32, data: '\xff' }],
    ],
    [
      'a known length',
      hex(`08 1b 0d 636f6e74656e742d72616e6765 0c 627974657320322d362f3235 05 3233343536`),
      [{ target: C25, data: '23456' }],
    ],
    [
      'the same in chunks',
      hex(`0a 0d 636f6e74656e742d72616e6765 0c 627974657320322d362f3235 00
           02 3233 03 343536 00`),
      [{ target: C25, data: '23456' }],
    ],
    [
      'lengths of two bytes',
      known([...range('bytes 0-99/150'), ['X', DATA]], DATA),
      [{ target: target(0, 100, 150), data: DATA }],
    ],
    [
      'integers that are wider than they need to be',
      `${varint(10, 8)}${varint(13, 4)}Content-Range${varint(5, 2)}0-1/2${varint(0, 8)}` +
        `${varint(2, 4)}ab${varint(0, 2)}`,
      [{ target: target(0, 2, 2), data: 'ab' }],
    ],
    [
      'several messages of both kinds',
      known(range('bytes 0-1/6'), 'ab') +
        indeterminate(range('bytes 2-3/6'), 'c', 'd') +
        known(range('bytes 4-5/6'), 'ef'),
      [
        { target: target(0, 2, 6), data: 'ab' },
        { target: target(2, 4, 6), data: 'cd' },
        { target: target(4, 6, 6), data: 'ef' },
      ],
    ],
    [
      'no data',
      known(range('bytes */6'), '') + indeterminate(range('bytes */6')),
      [
        { target: { kind: 'size', completeLength: 6 }, data: '' },
        { target: { kind: 'size', completeLength: 6 }, data: '' },
      ],
    ],
    [
      'Content-Offset of a known length',
      known([['content-offset', '4;complete-length=9']], 'abc'),
      [{ target: target(4, 7, 9), data: 'abc' }],
    ],
    [
      'Content-Offset in chunks',
      indeterminate([['content-offset', '4']], 'ab', 'c'),
      [{ target: { kind: 'open', start: 4, completeLength: null }, data: 'abc' }],
    ],
    [
      'an empty value, white space around one, and obs-text',
      known(
        [
          ['X', ''],
          ['Content-Range', ' bytes 0-0/1\t'],
          ['Y', '\xe9'],
        ],
        'a',
      ),
      [{ target: target(0, 1, 1), data: 'a' }],
    ],
  ])('%s', (_what, document, parts) => {
    expect(everySplit(parser, document)).toMatchObject({ parts })
  })
})

const CR = range('bytes 0-1/2')
const LINE = `${sized('Content-Range')}${sized('bytes 0-1/2')}`

describe('rejects', () => {
  test.each([
    ['no content', '', 'ERR_SYNTAX'],
    ['another framing', '\x00', 'ERR_SYNTAX'],
    ['another framing', '\x09', 'ERR_SYNTAX'],
    ['a text document', 'Content-Range: bytes 0-1/2\r\n\r\nab', 'ERR_SYNTAX'],
    ['what follows the last message', `${known(CR, 'ab')}\x01`, 'ERR_SYNTAX'],
    ['an empty section', '\x08\0\0', 'ERR_SYNTAX'],
    ['a section without a position', known([['X', 'y']], 'ab'), 'ERR_RANGE'],
    ['a section of no lines in chunks', '\x0a\0\x02ab\0', 'ERR_RANGE'],
    ['an empty name', `\x08${sized(`\0${sized('a')}${LINE}`)}${sized('ab')}`, 'ERR_SYNTAX'],
    ['a name that is not a token', known([['a b', 'c'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a pseudo-field', known([[':status', '206'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a name with a line end', known([['a\n', 'c'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a NUL in a value', known([['a', '\0'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a CR in a value', known([['a', 'b\r\nc'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a DEL in a value', known([['a', '\x7f'], ...CR], 'ab'), 'ERR_SYNTAX'],
    ['a name beyond its section', `\x08\x02\x05ab`, 'ERR_SYNTAX'],
    ['a value beyond its section', `\x08${varint(LINE.length - 1)}${LINE}\x02ab`, 'ERR_SYNTAX'],
    ['a section that ends inside an integer', `\x08\x01\x40\x01`, 'ERR_SYNTAX'],
    ['a section that ends after a name', `\x08\x02\x01a`, 'ERR_SYNTAX'],
    [
      'a section longer than its lines',
      `\x08${varint(LINE.length + 1)}${LINE}\x02ab`,
      'ERR_SYNTAX',
    ],
    ['a huge section', `\x08${varint(2 ** 40)}`, 'ERR_PATCH_LIMIT'],
    ['a section beyond the limit', known([['X', 'y'.repeat(200)], ...CR], 'ab'), 'ERR_PATCH_LIMIT'],
    ['a huge name in chunks', `\x0a${varint(2 ** 53 - 1)}`, 'ERR_PATCH_LIMIT'],
    ['a huge value in chunks', `\x0a${sized('a')}${varint(2 ** 53 - 1)}`, 'ERR_PATCH_LIMIT'],
    ['an integer above 2^53 - 1', `\x08${varint(2n ** 53n)}`, 'ERR_SYNTAX'],
    ['the largest integer', `\x08${varint(2n ** 62n - 1n)}`, 'ERR_SYNTAX'],
    ['too many parts', known(CR, 'ab').repeat(4), 'ERR_PATCH_LIMIT'],
    ['less data than its range', known(CR, 'a'), 'ERR_LENGTH'],
    ['more data than its range', known(CR, 'abc'), 'ERR_LENGTH'],
    ['a huge content', `\x08${sized(LINE)}${varint(2 ** 53 - 1)}`, 'ERR_LENGTH'],
    ['less data than its range in chunks', indeterminate(CR, 'a'), 'ERR_LENGTH'],
    ['more data than its range in chunks', indeterminate(CR, 'ab', 'c'), 'ERR_LENGTH'],
    ['another Content-Length', known([...CR, ['Content-Length', '3']], 'ab'), 'ERR_LENGTH'],
    ['a Transfer-Encoding', known([...CR, ['Transfer-Encoding', 'x']], 'ab'), 'ERR_SYNTAX'],
    ['a coding', known([...CR, ['Content-Encoding', 'gzip']], 'ab'), 'ERR_PART_CODING'],
    ['another unit', known(range('lines 0-1/2'), 'ab'), 'ERR_RANGE_UNIT'],
    ['different lengths', known(range('0-0/2'), 'a') + known(range('1-1/3'), 'b'), 'ERR_RANGE'],
    [
      'different types',
      known([...CR, ['Content-Type', 'a/b']], 'ab') + known([...CR, ['Content-Type', 'a/c']], 'ab'),
      'ERR_SYNTAX',
    ],
    [
      'different names',
      known([...CR, ['Content-Disposition', 'inline']], 'ab') +
        known([...CR, ['Content-Disposition', 'attachment']], 'ab'),
      'ERR_SYNTAX',
    ],
    ["lengths as the page of the draft's author writes them", `\x08\x64\x00${LINE}`, 'ERR_SYNTAX'],
  ])('%s', (_what, document, code) => {
    const limits = { ...LIMITS, maxPartHeaderSize: 10_000 }
    const roomy = () => createPartParser(['application/byteranges'], limits).parser

    expect(everySplit(code === 'ERR_SYNTAX' ? roomy : parser, document)).toMatchObject({ code })
  })

  test('more than 64 fields', () => {
    const many = known([...CR, ...Array.from({ length: 64 }, () => ['X', 'y'] as const)], 'ab')
    const limits = { ...LIMITS, maxPartHeaderSize: 10_000 }

    const outcome = everySplit(
      () => createPartParser(['application/byteranges'], limits).parser,
      many,
    )

    expect(outcome).toMatchObject({ code: 'ERR_PATCH_LIMIT' })
  })

  test.each([
    known(range('bytes 0-1/2'), 'ab'),
    indeterminate(range('bytes 0-1/2'), 'a', 'b'),
    known(range('bytes 0-1/4'), 'ab') + indeterminate(range('bytes 2-3/4'), 'cd'),
  ])('a document that ends inside a message: %j', (document) => {
    const first = known(range('bytes 0-1/4'), 'ab').length
    const outcomes = Array.from({ length: document.length - 1 }, (_, index) => index + 1)
      .filter((length) => !(document.length > first + 5 && length === first))
      .map((length) => everySplit(parser, document.slice(0, length)))

    for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 'ERR_SYNTAX' })
  })
})

test('holds no memory for a length that is only announced', () => {
  const document = `\x08${sized(LINE)}${varint(2)}`
  const bytes = Buffer.from(document, 'latin1')
  const before = process.memoryUsage().arrayBuffers

  const parsers = Array.from({ length: 1000 }, () => {
    const made = parser()
    made.write(bytes)
    return made
  })

  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
  expect(parsers).toHaveLength(1000)
})
