import { describe, expect, test } from 'vitest'
import { createPartParser } from '../../src/media/parse.ts'
import type { PartParser } from '../../src/media/part.ts'
import { everySplit, parseChunks, toBytes } from '../support/every-split.ts'

const LIMITS = { maxParts: 4, maxPartHeaderSize: 8192, maxSize: 1000 }

function streamed(): PartParser {
  return createPartParser(['message/byteranges'], { ...LIMITS, contentLength: null }).parser
}

function announced(contentLength: number): PartParser {
  return createPartParser(['message/byteranges'], { ...LIMITS, contentLength }).parser
}

const range = (start: number, end: number, completeLength: number | null) => ({
  kind: 'range',
  start,
  end,
  completeLength,
})
const size = (completeLength: number) => ({ kind: 'size', completeLength })

describe('reads', () => {
  test.each([
    ['a range', 'Content-Range: bytes 2-5/10\r\n\r\nabcd', range(2, 6, 10), 'abcd'],
    ['an open length', 'Content-Range: bytes 2-5/*\r\n\r\nabcd', range(2, 6, null), 'abcd'],
    ['only a length', 'Content-Range: bytes */10\r\n\r\n', size(10), ''],
    ['data of CRLFs', 'Content-Range: bytes 0-3/4\r\n\r\n\r\n\r\n', range(0, 4, 4), '\r\n\r\n'],
    ['any byte', 'Content-Range: bytes 0-2/3\r\n\r\n\0\xff\n', range(0, 3, 3), '\0\xff\n'],
    ['no unit', 'Content-Range: 0-1/2\r\nContent-Length: 2\r\n\r\nab', range(0, 2, 2), 'ab'],
    ['Range as Content-Range', 'Range: bytes 0-1/2\r\n\r\nab', range(0, 2, 2), 'ab'],
    ['Range as in a request', 'Range: bytes=0-1\r\n\r\nab', range(0, 2, null), 'ab'],
    [
      'both, of which one gives the length',
      'Content-Range: bytes 0-1/*\r\nRange: bytes 0-1/9\r\n\r\nab',
      range(0, 2, 9),
      'ab',
    ],
    [
      'both in different spellings',
      'Range: bytes=00-1\r\nContent-Range: bytes 0-1/9\r\n\r\nab',
      range(0, 2, 9),
      'ab',
    ],
    [
      'both, and neither gives the length',
      'Range: bytes=0-1\r\nContent-Range: bytes 0-1/*\r\n\r\nab',
      range(0, 2, null),
      'ab',
    ],
    ['both for only a length', 'Range: bytes */9\r\nContent-Range: bytes */9\r\n\r\n', size(9), ''],
    ['names in any case', 'cONTENT-rANGE:bytes 0-1/2\r\n\r\nab', range(0, 2, 2), 'ab'],
    ['white space', 'Content-Range: \t bytes \t 0-1/2 \t\r\n\r\nab', range(0, 2, 2), 'ab'],
    ['obs-fold', 'Content-Range: bytes\r\n\t 0-1/2\r\n \r\n\r\nab', range(0, 2, 2), 'ab'],
    [
      'unknown fields with obs-text',
      'X-Note: \xe9\x01 \r\nContent-Range: bytes 0-1/2\r\nEmpty:\r\n\r\nab',
      range(0, 2, 2),
      'ab',
    ],
    [
      'a repeated Content-Length',
      'Content-Length: 2\r\ncontent-length: 02\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      range(0, 2, 2),
      'ab',
    ],
    [
      'a Content-Encoding of identity',
      'Content-Encoding: Identity\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      range(0, 2, 2),
      'ab',
    ],
    [
      'an empty Content-Encoding',
      'Content-Encoding:\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      range(0, 2, 2),
      'ab',
    ],
    [
      'a first field whose value ends like a start-line',
      'Via: proxy HTTP/1.1\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      range(0, 2, 2),
      'ab',
    ],
    [
      'a length of the largest size',
      'Content-Range: bytes 998-999/1000\r\n\r\nab',
      range(998, 1000, 1000),
      'ab',
    ],
  ])('%s', (_, message, target, data) => {
    expect(everySplit(streamed, message)).toEqual({
      parts: [
        {
          target,
          contentType: null,
          contentDisposition: null,
          contentDigest: null,
          reprDigest: null,
          data,
        },
      ],
    })
    expect(everySplit(() => announced(message.length), message)).toEqual(
      everySplit(streamed, message),
    )
  })

  test.each([
    ['text/plain', 'text/plain'],
    [' Text/HTML;Charset="UTF-8" ', 'Text/HTML;Charset="UTF-8"'],
    ['text/plain;\r\n\ta="b"; c="d \\"e\\""', 'text/plain; a="b"; c="d \\"e\\""'],
    [`a/${'b'.repeat(253)}`, `a/${'b'.repeat(253)}`],
    ['text/plain; a=b; c=d\r\nContent-Type: TEXT/plain;C=d;A="b"', 'text/plain; a=b; c=d'],
  ])('the Content-Type %s', (value, contentType) => {
    const message = `Content-Type: ${value}\r\nContent-Range: bytes 0-1/2\r\n\r\nab`

    expect(everySplit(streamed, message)).toMatchObject({ parts: [{ contentType }] })
  })

  test('the digests of a Repr-Digest that can be verified', () => {
    const digest = `sha-256=:${'A'.repeat(43)}=:`
    const message = `Repr-Digest: ${digest}\r\nRepr-Digest: md5=:AA==:\r\nContent-Range: bytes */0\r\n\r\n`

    expect(everySplit(streamed, message)).toMatchObject({
      parts: [{ reprDigest: digest }],
    })
  })
})

const RANGE = 'Content-Range: bytes 0-1/2\r\n'

describe('rejects', () => {
  test.each([
    ['', 'end', 'ERR_SYNTAX', 'the content is empty'],
    [RANGE, 'end', 'ERR_SYNTAX', 'the content ends before the blank line after the header'],
    ['X: y', 'end', 'ERR_SYNTAX', 'the content ends before the blank line after the header'],
    ['\r\nab', 'write', 'ERR_RANGE', 'expected Content-Range or Content-Offset, found neither'],
    [
      'X: y\r\n\r\nab',
      'write',
      'ERR_RANGE',
      'expected Content-Range or Content-Offset, found neither',
    ],
    [`${RANGE}${RANGE}\r\nab`, 'write', 'ERR_RANGE', 'expected one Content-Range, found several'],
    [
      'Range: bytes=0-1\r\nRange: bytes=0-1\r\n\r\nab',
      'write',
      'ERR_RANGE',
      'expected one Range, found several',
    ],
    [
      `${RANGE}Range: bytes=0-2\r\n\r\nab`,
      'write',
      'ERR_RANGE',
      'Content-Range and Range contradict each other',
    ],
    [
      `${RANGE}Range: bytes 0-1/3\r\n\r\nab`,
      'write',
      'ERR_RANGE',
      'Content-Range and Range contradict each other',
    ],
    [
      `${RANGE}Range: bytes */2\r\n\r\nab`,
      'write',
      'ERR_RANGE',
      'Content-Range and Range contradict each other',
    ],
    [
      `${RANGE}Content-Offset: 0\r\n\r\nab`,
      'write',
      'ERR_RANGE',
      'found Content-Offset beside Content-Range or Range, expected one of them',
    ],
    [
      'Content-Range: bytes 5-3/10\r\n\r\n',
      'write',
      'ERR_RANGE',
      'the range ends at 3, before its start at 5',
    ],
    [
      'Content-Range: lines 0-1/2\r\n\r\nab',
      'write',
      'ERR_RANGE_UNIT',
      'the range unit is not "bytes"',
    ],
    [
      'Transfer-Encoding: chunked\r\n\r\n',
      'write',
      'ERR_SYNTAX',
      'Transfer-Encoding is not allowed here',
    ],
    [
      `${RANGE}Content-Encoding: gzip\r\n\r\nab`,
      'write',
      'ERR_PART_CODING',
      'the Content-Encoding is not identity, and the data would be stored encoded',
    ],
    [
      `${RANGE}Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\nab`,
      'write',
      'ERR_PART_CODING',
      'the Content-Encoding is not identity, and the data would be stored encoded',
    ],
    [
      `${RANGE}Content-Length: 3\r\n\r\nabc`,
      'write',
      'ERR_LENGTH',
      'expected a Content-Length of 2 for bytes 0-1',
    ],
    [
      `${RANGE}Content-Length: 2\r\nContent-Length: 3\r\n\r\nab`,
      'write',
      'ERR_LENGTH',
      'expected a Content-Length of 2 for bytes 0-1',
    ],
    [
      `${RANGE}Content-Length: 9007199254740993\r\n\r\nab`,
      'write',
      'ERR_LENGTH',
      'expected a Content-Length of 2 for bytes 0-1',
    ],
    [
      `${RANGE}Content-Length: +2\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a number in Content-Length',
    ],
    [
      `${RANGE}Content-Length:\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a number in Content-Length',
    ],
    [
      `${RANGE}Content-Length: 2, 2\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a number in Content-Length',
    ],
    [
      'Content-Range: bytes */5\r\nContent-Length: 1\r\n\r\na',
      'write',
      'ERR_LENGTH',
      'expected a Content-Length of 0 for bytes */5',
    ],
    [
      `${RANGE}Content-Type: text\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    ],
    [
      `${RANGE}Content-Type:\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    ],
    [
      `${RANGE}Content-Type: a/b; c="\xe9"\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    ],
    [
      `${RANGE}Content-Type: a/${'b'.repeat(254)}\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected a media type in Content-Type, in ASCII and of at most 255 bytes',
    ],
    [
      `${RANGE}Content-Type: a/b\r\nContent-Type: a/c\r\n\r\nab`,
      'write',
      'ERR_SYNTAX',
      'expected one Content-Type, found different ones',
    ],
    [
      `${RANGE}Repr-Digest: sha-256=:AA==:\r\n\r\nab`,
      'write',
      'ERR_FIELD',
      'the sha-256 digest has 1 bytes instead of 32',
    ],
    [
      'Content-Range: bytes 0-1/1001\r\n\r\nab',
      'write',
      'ERR_SIZE_LIMIT',
      'the resource would have at least 1001 bytes, and at most 1000 are accepted',
    ],
    [
      'Content-Range: bytes 999-1000/*\r\n\r\nab',
      'write',
      'ERR_SIZE_LIMIT',
      'the resource would have at least 1001 bytes, and at most 1000 are accepted',
    ],
    [
      'Content-Range: bytes */1001\r\n\r\n',
      'write',
      'ERR_SIZE_LIMIT',
      'the resource would have at least 1001 bytes, and at most 1000 are accepted',
    ],
    [`${RANGE}\r\na`, 'end', 'ERR_LENGTH', '1 bytes of data for bytes 0-1'],
    [`${RANGE}\r\n`, 'end', 'ERR_LENGTH', '0 bytes of data for bytes 0-1'],
    [`${RANGE}\r\nabc`, 'write', 'ERR_LENGTH', 'more than 2 bytes of data for bytes 0-1'],
    [
      'Content-Range: bytes */5\r\n\r\na',
      'write',
      'ERR_LENGTH',
      'more than 0 bytes of data for bytes */5',
    ],
  ])('%j', (message, thrownBy, code, detail) => {
    expect(everySplit(streamed, message)).toEqual({ thrownBy, code, detail })
  })

  test('a resource beyond the limit, and reports the limit', () => {
    const message = toBytes('Content-Range: bytes */1001\r\n\r\n')

    expect(() => streamed().write(message)).toThrow(
      expect.objectContaining({ status: 400, members: { limit: 1000 } }),
    )
  })

  test('the largest length that a number can hold, where no limit is set', () => {
    const unlimited = { ...LIMITS, maxSize: Number.MAX_SAFE_INTEGER, contentLength: null }
    const { parser } = createPartParser(['message/byteranges'], unlimited)

    expect(parser.write(toBytes('Content-Range: bytes */9007199254740991\r\n\r\n'))).toHaveLength(1)
  })
})

const FRAMING = 'in the header block; lines end in CRLF'
const MALFORMED = 'the header block is malformed:'

describe('rejects a header block', () => {
  test.each([
    ['X: y\nContent-Range: bytes 0-1/2\n\nab', `a bare LF ${FRAMING}`],
    ['\nab', `a bare LF ${FRAMING}`],
    ['X: y\rz\r\n\r\n', `a bare CR ${FRAMING}`],
    ['X: y\r\r\n\r\n', `a bare CR ${FRAMING}`],
    ['X: y\0\r\n\r\n', `a NUL ${FRAMING}`],
    [' X: y\r\n\r\n', `${MALFORMED} the first line begins with white space`],
    ['\tX: y\r\n\r\n', `${MALFORMED} the first line begins with white space`],
    ['X: y\r\nno colon\r\n\r\n', `${MALFORMED} line 2 has no colon`],
    ['X : y\r\n\r\n', `${MALFORMED} line 1 has white space before its colon`],
    ['X\r\n : y\r\n\r\n', `${MALFORMED} line 1 has white space before its colon`],
    ['X: y\r\nX y: z\r\n\r\n', `${MALFORMED} the field name of line 2 is not a token`],
    [': y\r\n\r\n', `${MALFORMED} the field name of line 1 is not a token`],
    ['\xe9: y\r\n\r\n', `${MALFORMED} the field name of line 1 is not a token`],
    [
      'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      `${MALFORMED} it begins with a start-line instead of its fields`,
    ],
    [
      'PATCH /a:b HTTP/1.1\r\nContent-Range: bytes 0-1/2\r\n\r\nab',
      `${MALFORMED} it begins with a start-line instead of its fields`,
    ],
  ])('%j', (message, detail) => {
    expect(everySplit(streamed, message)).toEqual({ thrownBy: 'write', code: 'ERR_SYNTAX', detail })
  })

  test('with 65 fields, but not with 64', () => {
    const many = 'X: y\r\n'.repeat(63)

    expect(everySplit(streamed, `${many}${RANGE}\r\nab`)).toHaveProperty('parts')
    expect(everySplit(streamed, `${many}X: y\r\n${RANGE}\r\nab`)).toEqual({
      thrownBy: 'write',
      code: 'ERR_PATCH_LIMIT',
      detail: 'the header block has more than 64 fields',
    })
  })

  test('that is a byte longer than the limit', () => {
    const parse = (limit: number) =>
      everySplit(
        () =>
          createPartParser(['message/byteranges'], {
            ...LIMITS,
            maxPartHeaderSize: limit,
            contentLength: null,
          }).parser,
        `${RANGE}\r\nab`,
      )

    expect(parse(RANGE.length)).toHaveProperty('parts')
    expect(parse(RANGE.length - 1)).toEqual({
      thrownBy: 'write',
      code: 'ERR_PATCH_LIMIT',
      detail: `the header block is larger than ${RANGE.length - 1} bytes`,
    })
  })

  test('that does not end, at the limit', () => {
    const chunks = Array.from({ length: 9000 }, () => toBytes('x'))

    expect(parseChunks(streamed(), chunks)).toEqual({
      thrownBy: 'write',
      code: 'ERR_PATCH_LIMIT',
      detail: 'the header block is larger than 8192 bytes',
    })
  })
})

describe('given the length of the content', () => {
  test.each([
    [-1, '1 bytes of data for bytes 0-1'],
    [1, '3 bytes of data for bytes 0-1'],
  ])('rejects data that is off by %i before any of it is read', (difference, detail) => {
    const header = `${RANGE}\r\n`

    const outcome = everySplit(() => announced(header.length + 2 + difference), header)

    expect(outcome).toEqual({ thrownBy: 'write', code: 'ERR_LENGTH', detail })
  })

  test('rejects data after a range that has none', () => {
    const header = 'Content-Range: bytes */5\r\n\r\n'

    expect(everySplit(() => announced(header.length + 1), header)).toEqual({
      thrownBy: 'write',
      code: 'ERR_LENGTH',
      detail: '1 bytes of data for bytes */5',
    })
  })
})

test('yields views of its chunks', () => {
  const parser = streamed()
  const first = toBytes('Content-Range: bytes 0-3/4\r\n\r\nab')
  const second = toBytes('cd')

  const events = [...parser.write(first), ...parser.write(second)]

  const buffers = events.flatMap((event) => (event.type === 'data' ? [event.bytes.buffer] : []))
  expect(buffers).toEqual([first.buffer, second.buffer])
  expect(buffers[0]).toBe(first.buffer)
})

test('passes on other errors than those of the client unchanged', () => {
  const failure = new TypeError('no limit')
  const options = {
    ...LIMITS,
    contentLength: null,
    get maxSize(): number {
      throw failure
    },
  }
  const { parser } = createPartParser(['message/byteranges'], options)

  expect(() => parser.write(toBytes(`${RANGE}\r\nab`))).toThrow(failure)
})
