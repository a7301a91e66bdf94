import { describe, expect, test } from 'vitest'
import { MAX_LINE_REST } from '../../src/media/delimiter.ts'
import { createPartParser } from '../../src/media/parse.ts'
import type { PartParser } from '../../src/media/part.ts'
import { everySplit, parseChunks, toBytes } from '../support/every-split.ts'

const OPTIONS = { maxParts: 3, maxPartHeaderSize: 8192, maxSize: 1000, contentLength: null }

function parser(): PartParser {
  return createPartParser(['multipart/byteranges; boundary=B'], OPTIONS).parser
}

function unnamed(): PartParser {
  return createPartParser(['multipart/byteranges'], OPTIONS).parser
}

const part = (start: number, data: string, completeLength: number | null = null) => ({
  target: { kind: 'range', start, end: start + data.length, completeLength },
  contentType: null,
  contentDisposition: null,
  contentDigest: null,
  reprDigest: null,
  data,
})

const AB = 'Content-Range: bytes 0-1/*\r\n\r\nab'
const CD = 'Content-Range: bytes 2-3/*\r\n\r\ncd'

describe('reads', () => {
  test.each([
    ['one part', `--B\r\n${AB}\r\n--B--\r\n`, [part(0, 'ab')]],
    ['no CRLF at the end', `--B\r\n${AB}\r\n--B--`, [part(0, 'ab')]],
    ['two parts', `--B\r\n${AB}\r\n--B\r\n${CD}\r\n--B--`, [part(0, 'ab'), part(2, 'cd')]],
    ['parts in any order', `--B\r\n${CD}\r\n--B\r\n${AB}\r\n--B--`, [part(2, 'cd'), part(0, 'ab')]],
    ['overlapping parts', `--B\r\n${AB}\r\n--B\r\n${AB}\r\n--B--`, [part(0, 'ab'), part(0, 'ab')]],
    ['an empty preamble', `\r\n--B\r\n${AB}\r\n--B--`, [part(0, 'ab')]],
    ['a preamble', `--A\r\n--BX\r\n--B-\r\n\r--B\r\n--B\r\n${AB}\r\n--B--`, [part(0, 'ab')]],
    ['an epilogue', `--B\r\n${AB}\r\n--B--\r\n--B\r\n\0`, [part(0, 'ab')]],
    ['padding', `--B \t\r\n${AB}\r\n--B\t \r\n${CD}\r\n--B-- \t`, [part(0, 'ab'), part(2, 'cd')]],
    ['padding before an epilogue', `--B\r\n${AB}\r\n--B-- \r\nx`, [part(0, 'ab')]],
    [
      'a part without data',
      '--B\r\nContent-Range: bytes */9\r\n\r\n\r\n--B--',
      [{ ...part(0, ''), target: { kind: 'size', completeLength: 9 } }],
    ],
    [
      'a part without data, which shares its CRLF with the delimiter',
      `--B\r\nContent-Range: bytes */9\r\n\r\n--B\r\n${AB}\r\n--B--`,
      [{ ...part(0, ''), target: { kind: 'size', completeLength: 9 } }, part(0, 'ab')],
    ],
    [
      'one known length among unknown ones',
      `--B\r\n${AB}\r\n--B\r\nContent-Range: 2-3/4\r\n\r\ncd\r\n--B\r\n${AB}\r\n--B--`,
      [part(0, 'ab'), part(2, 'cd', 4), part(0, 'ab')],
    ],
  ])('%s', (_, message, parts) => {
    expect(everySplit(parser, message)).toEqual({ parts })
  })

  test.each([
    '\r\n',
    '\r\r\n',
    '\r\n\r\n--',
    '--B',
    '\r\n--C',
    '\r\n--BB',
    '\r\n--B-',
    '\r\n--B-\r\n',
    '\r\n--B-x',
    '\r\n--B--x',
    '\r\n--B-- x',
    '\r\n--B--\rx',
    '\r\n--B\n',
    '\r\n--B\rx',
    '\r\n--B\r\r\n',
    '\r\n--B \r',
    '\r\n--B\t x',
    '\r\n--B\r\n--B'.slice(0, 6),
    '\n--B\r\n',
    '\r--B\r\n',
    '--B-',
    '--Bx',
    '--B \t--',
    '\r\n--\r\n--\r\n--B',
    '\0\xff\x80',
  ])('%j as data', (data) => {
    const message = `--B\r\nContent-Range: bytes 0-${data.length}/*\r\n\r\n${data}.\r\n--B--`

    expect(everySplit(parser, message)).toEqual({ parts: [part(0, `${data}.`)] })
  })

  test.each(['\r', '\r\n', '\r\n--', '\r\n--B-', '\r\n--B--x', '\r\n--B \r', '\r\n--B--\r'])(
    '%j as the end of data',
    (data) => {
      const message = `--B\r\nContent-Range: bytes 0-${data.length - 1}/*\r\n\r\n${data}\r\n--B--`

      expect(everySplit(parser, message)).toEqual({ parts: [part(0, data)] })
    },
  )

  test('Content-Types that are the same', () => {
    const message =
      '--B\r\nContent-Type: a/b;c=d\r\nContent-Range: bytes 0-0/*\r\n\r\na\r\n' +
      '--B\r\nContent-Range: bytes 0-0/*\r\n\r\na\r\n' +
      '--B\r\nContent-Type: A/B; c="d"\r\nContent-Range: bytes 0-0/*\r\n\r\na\r\n--B--'

    const types = ['a/b;c=d', null, 'A/B; c="d"'].map((contentType) => ({ contentType }))
    expect(everySplit(parser, message)).toMatchObject({ parts: types })
  })

  test('a boundary of the longest length with every character', () => {
    const boundary = "0AZaz'()+_,-./:=? B--".padEnd(70, 'x')
    const value = `Multipart/ByteRanges; Boundary="${boundary.replace('A', '\\A')}"`
    const create = () => createPartParser([value], OPTIONS).parser

    const message = `--${boundary}\r\n${AB}\r\n--${boundary}--`

    expect(everySplit(create, message)).toEqual({ parts: [part(0, 'ab')] })
  })
})

describe('rejects', () => {
  test.each([
    ['', 'end', 'ERR_SYNTAX', 'the content is empty'],
    ['ab', 'end', 'ERR_SYNTAX', 'the content has no delimiter with the boundary'],
    ['--b\r\n', 'end', 'ERR_SYNTAX', 'the content has no delimiter with the boundary'],
    ['--B', 'end', 'ERR_SYNTAX', 'the content has no delimiter with the boundary'],
    [`--B\n${AB}\n--B--`, 'end', 'ERR_SYNTAX', 'the content has no delimiter with the boundary'],
    ['--B--', 'end', 'ERR_SYNTAX', 'expected a part before the close-delimiter'],
    ['--B--\r\n', 'write', 'ERR_SYNTAX', 'expected a part before the close-delimiter'],
    [
      '--B\r\n',
      'end',
      'ERR_SYNTAX',
      'part 1: the content ends before the blank line after the header',
    ],
    [
      `--B\r\n${AB}\r\n--B\r\nX: y\r\n`,
      'end',
      'ERR_SYNTAX',
      'part 2: the content ends before the blank line after the header',
    ],
    [
      '--B\r\n\r\n--B--',
      'write',
      'ERR_RANGE',
      'part 1: expected Content-Range or Content-Offset, found neither',
    ],
    [
      '--B\r\n--B--\r\n',
      'end',
      'ERR_SYNTAX',
      'part 1: the content ends before the blank line after the header',
    ],
    [`--B\r\n${AB}`, 'end', 'ERR_SYNTAX', 'part 1: the content ends without a close-delimiter'],
    [
      `--B\r\n${AB}\r\n--B`,
      'end',
      'ERR_SYNTAX',
      'part 1: the content ends without a close-delimiter',
    ],
    [
      `--B\r\n${AB}\r\n--B-`,
      'end',
      'ERR_SYNTAX',
      'part 1: the content ends without a close-delimiter',
    ],
    [
      `--B\r\n${AB}\r\n--B--\r`,
      'end',
      'ERR_SYNTAX',
      'part 1: the content ends without a close-delimiter',
    ],
    [
      `--B\r\n${AB}\n--B--`,
      'write',
      'ERR_LENGTH',
      'part 1: more than 2 bytes of data for bytes 0-1',
    ],
    [
      `--B\r\n${AB}c\r\n--B--`,
      'write',
      'ERR_LENGTH',
      'part 1: more than 2 bytes of data for bytes 0-1',
    ],
    [
      `--B\r\n${AB}\r\n--B\r\nContent-Range: bytes 2-5/*\r\n\r\nabc\r\n--B--\r\n`,
      'write',
      'ERR_LENGTH',
      'part 2: 3 bytes of data for bytes 2-5',
    ],
    [
      '--B\r\nContent-Range: bytes 2-5/*\r\n\r\nabc\r\n--B--',
      'end',
      'ERR_LENGTH',
      'part 1: 3 bytes of data for bytes 2-5',
    ],
    [
      '--B\r\nContent-Range: bytes 2-5/*\r\n\r\n--B\r\n',
      'write',
      'ERR_LENGTH',
      'part 1: 0 bytes of data for bytes 2-5',
    ],
    [
      '--B\r\nContent-Range: bytes */5\r\n\r\na\r\n--B--',
      'write',
      'ERR_LENGTH',
      'part 1: more than 0 bytes of data for bytes */5',
    ],
    [
      '--B\r\nContent-Range: bytes 0-1/5\r\n\r\nab\r\n--B\r\nContent-Range: bytes */6\r\n\r\n\r\n--B--',
      'write',
      'ERR_RANGE',
      'part 2: the complete-length is 6, but an earlier part has 5',
    ],
    [
      '--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/*\r\n\r\na\r\n' +
        '--B\r\nContent-Type: a/c\r\nContent-Range: bytes 0-0/*\r\n\r\na\r\n--B--',
      'write',
      'ERR_SYNTAX',
      'part 2: the Content-Type differs from that of an earlier part',
    ],
    [
      `--B\r\n${AB}\r\n--B\r\n${AB}\r\n--B\r\n${AB}\r\n--B\r\n${AB}\r\n--B--`,
      'write',
      'ERR_PATCH_LIMIT',
      'there are more than 3 parts',
    ],
    [
      `--B\r\n${AB}\r\n--B\r\n${CD.replace('bytes', 'items')}\r\n--B--`,
      'write',
      'ERR_RANGE_UNIT',
      'part 2: the range unit is not "bytes"',
    ],
    [
      `--B\r\n${AB}\r\n--B\r\nX:y\n`,
      'write',
      'ERR_SYNTAX',
      'part 2: a bare LF in the header block; lines end in CRLF',
    ],
  ])('%j', (message, thrownBy, code, detail) => {
    expect(everySplit(parser, message)).toEqual({ thrownBy, code, detail })
  })

  test('more padding than the limit, and accepts that much', () => {
    const padded = (length: number) => `--B${' '.repeat(length)}\r\n${AB}\r\n--B--`

    expect(everySplit(parser, padded(MAX_LINE_REST - 1))).toEqual({ parts: [part(0, 'ab')] })
    expect(everySplit(parser, padded(MAX_LINE_REST + 1))).toEqual({
      thrownBy: 'write',
      code: 'ERR_PATCH_LIMIT',
      detail: 'more than 256 bytes of padding follow a boundary',
    })
  })
})

describe('without a boundary parameter', () => {
  test.each([
    ['--BV4I7CIzc34\r\n', '\r\n--BV4I7CIzc34--\r\n'],
    ['\r\n\r\n--B\r\n', '\r\n--B--'],
    ['--B  \r\n', '\r\n--B--'],
    [`--${'b'.repeat(70)}\r\n`, `\r\n--${'b'.repeat(70)}--`],
    ['--a b\r\n', '\r\n--a b--'],
  ])('takes it from %j', (start, end) => {
    const outcome = everySplit(unnamed, start + AB + end)

    expect(outcome).toEqual({ parts: [part(0, 'ab')] })
  })

  const detail = 'the media type has no boundary, and the content does not begin with a delimiter'

  test.each([
    ['', 'end'],
    ['\r\n', 'end'],
    ['--B', 'end'],
    ['--B\n', 'end'],
    [`\r\nX\r\n--B\r\n${AB}\r\n--B--`, 'write'],
    [`-B\r\n${AB}\r\n-B--`, 'write'],
    ['--\r\n', 'write'],
    ['--  \r\n', 'write'],
    ['--a\t\r\n', 'write'],
    ['--a\xe9\r\n', 'write'],
    ['--a\n\r\n', 'write'],
    ['-- "a"\r\n', 'write'],
    ['\r--B\r\n', 'write'],
    [`--${'b'.repeat(71)}\r\n`, 'write'],
    ['x'.repeat(100), 'write'],
  ])('rejects %j', (message, thrownBy) => {
    expect(everySplit(unnamed, message)).toEqual({ thrownBy, code: 'ERR_SYNTAX', detail })
  })

  test('rejects a boundary that is only closed', () => {
    expect(everySplit(unnamed, `--B--\r\n${AB}`)).toMatchObject({ thrownBy: 'end' })
  })
})

describe('takes time in proportion to', () => {
  const length = 1 << 18
  const boundary = 'b'.repeat(69)
  const create = () =>
    createPartParser([`multipart/byteranges; boundary=${boundary}`], {
      ...OPTIONS,
      maxSize: length,
    }).parser
  const message = (data: string) =>
    toBytes(
      `--${boundary}\r\nContent-Range: bytes 0-${data.length - 1}/*\r\n\r\n${data}\r\n--${boundary}--`,
    )
  const cut = (bytes: Uint8Array, size: number) =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    )

  // Minutes if the time were quadratic; well under a second here.
  test.each([
    ['beginnings of a boundary', '\r\n--', 1 << 16],
    ['boundaries but for the last byte', `\r\n--${boundary.slice(1)}c`, 1 << 16],
    ['boundaries before another byte', `\r\n--${boundary}c`, 1 << 16],
    [
      'boundaries with padding before another byte',
      `\r\n--${boundary}${' '.repeat(200)}c`,
      1 << 16,
    ],
    ['the last byte of the boundary', 'b', 1 << 16],
    ['single bytes', `\r\n--${boundary}c`, 1],
    ['chunks of ten bytes', `\r\n--${boundary.slice(1)}\r`, 10],
  ])(
    '%s',
    (_, unit, size) => {
      const data = unit.repeat(Math.floor(length / unit.length))

      const outcome = parseChunks(create(), cut(message(data), size))

      expect('parts' in outcome && outcome.parts[0]!.data === data).toBe(true)
    },
    10_000,
  )
})

test('yields views of its chunks', () => {
  const subject = parser()
  const first = toBytes('--B\r\nContent-Range: bytes 0-5/*\r\n\r\nab')
  const second = toBytes('cd')
  const third = toBytes('ef\r\n--B--')

  const events = [first, second, third].flatMap((chunk) => subject.write(chunk))

  const buffers = events.flatMap((event) => (event.type === 'data' ? [event.bytes.buffer] : []))
  expect(
    buffers.map((buffer) => [first, second, third].findIndex((c) => c.buffer === buffer)),
  ).toEqual([0, 1, 2])
})

test.each(['\r\n--B-x', '\r\n--B\rx', '\r\n--B \t x', '\r\n--B-- \rx', '\r\n--Bx', '\r\n--x'])(
  'yields data full of %j as one piece',
  (unit) => {
    const data = unit.repeat(100)
    const range = `Content-Range: bytes 0-${data.length - 1}/*`

    const events = parser().write(toBytes(`--B\r\n${range}\r\n\r\n${data}\r\n--B--`))

    expect(events.map(({ type }) => type)).toEqual(['part', 'data'])
  },
)

test('does not buffer the preamble and the epilogue', () => {
  const subject = parser()

  const preamble = Array.from({ length: 100 }, () => subject.write(toBytes('x'.repeat(1000))))
  subject.write(toBytes(`\r\n--B\r\n${AB}\r\n--B--\r\n`))
  const epilogue = Array.from({ length: 100 }, () => subject.write(toBytes('x'.repeat(1000))))

  expect([...preamble.flat(), ...epilogue.flat(), ...subject.end()]).toEqual([])
})
