import { describe, expect, test } from 'vitest'
import { createPartParser, PATCH_MEDIA_TYPES } from '../../src/media/parse.ts'
import { everySplit } from '../support/every-split.ts'

const OPTIONS = { maxParts: 4, maxPartHeaderSize: 8192, maxSize: 1000, contentLength: null }

const AB = 'Content-Range: bytes 0-1/2\r\n\r\nab'

test('names the spelling of the seed first', () => {
  expect(PATCH_MEDIA_TYPES).toEqual([
    'message/byteranges',
    'multipart/byteranges',
    'message/byterange',
    'application/byteranges',
  ])
})

describe('accepts', () => {
  test.each([
    ['message/byteranges', false],
    ['message/byterange', false],
    ['Message/ByteRanges', false],
    [' message/byteranges ; charset=utf-8', false],
    ['message/byteranges; =', false],
    ['multipart/byteranges', true],
    ['multipart/byteranges; boundary=B', true],
    ['MULTIPART/BYTERANGES;BOUNDARY=B;', true],
    ['multipart/byteranges; charset=utf-8 ;; boundary="B"', true],
    ['multipart/byteranges; boundary="\\B"', true],
  ])('%j', (contentType, multipart) => {
    const format = () => createPartParser([contentType], OPTIONS)

    const outcome = everySplit(() => format().parser, multipart ? `--B\r\n${AB}\r\n--B--\r\n` : AB)

    expect(format()).toMatchObject({ isAtomic: multipart, fillsGaps: multipart })
    expect(outcome).toMatchObject({ parts: [{ data: 'ab' }] })
  })

  test('the same value twice', () => {
    const format = createPartParser(['message/byteranges', 'message/byteranges '], OPTIONS)

    expect(format.isAtomic).toBe(false)
  })
})

describe('rejects', () => {
  test.each([
    [[]],
    [['']],
    [['message']],
    [['message/http']],
    [['message/byteranges2']],
    [['multipart/x-byteranges; boundary=B']],
    [['application/byterange']],
    [['message/byteranges, message/byteranges']],
  ])('the media type %j with 415', (contentType) => {
    expect(() => createPartParser(contentType, OPTIONS)).toThrow(
      expect.objectContaining({
        code: 'ERR_MEDIA_TYPE',
        status: 415,
        headers: {
          'Accept-Patch':
            'message/byteranges, multipart/byteranges, message/byterange, application/byteranges',
        },
      }),
    )
  })

  test.each([
    [['message/byteranges', 'multipart/byteranges']],
    [['text/plain', 'message/byteranges']],
    [['multipart/byteranges; boundary=B', 'multipart/byteranges; boundary=C']],
    [['multipart/byteranges; boundary=']],
    [['multipart/byteranges; boundary=""']],
    [['multipart/byteranges; boundary="B']],
    [['multipart/byteranges; boundary="B "']],
    [['multipart/byteranges; boundary=B C']],
    [['multipart/byteranges; boundary=B:C']],
    [['multipart/byteranges; boundary="B\\"C"']],
    [['multipart/byteranges; boundary="B\tC"']],
    [['multipart/byteranges; boundary=B; boundary=B']],
    [['multipart/byteranges; boundary = B']],
    [[`multipart/byteranges; boundary=${'b'.repeat(71)}`]],
  ])('%j with 400', (contentType) => {
    expect(() => createPartParser(contentType, OPTIONS)).toThrow(
      expect.objectContaining({ code: 'ERR_FIELD', status: 400 }),
    )
  })
})

test('reads a multipart of one part as the message itself', () => {
  const message = everySplit(() => createPartParser(['message/byteranges'], OPTIONS).parser, AB)
  const multipart = everySplit(
    () => createPartParser(['multipart/byteranges; boundary=B'], OPTIONS).parser,
    `--B\r\n${AB}\r\n--B--`,
  )

  expect(multipart).toEqual(message)
})

describe("reads what the clients of the draft's author send", () => {
  test('a browser, one range', () => {
    const message = 'Content-Range: bytes 0-1/150\r\nContent-Length: 2\r\n\r\nab'

    const outcome = everySplit(
      () => createPartParser(['message/byterange'], OPTIONS).parser,
      message,
    )

    expect(outcome).toMatchObject({ parts: [{ data: 'ab', target: { completeLength: 150 } }] })
  })

  test('a browser, several ranges', () => {
    const message =
      '--BV4I7CIzc34\r\nContent-Range: bytes 2-2/34\r\nContent-Length: 1\r\n\r\nX\r\n' +
      '--BV4I7CIzc34\r\nContent-Range: bytes 32-33/34\r\nContent-Length: 2\r\n\r\nYZ\r\n' +
      '--BV4I7CIzc34--\r\n'

    const outcome = everySplit(
      () => createPartParser(['multipart/byteranges'], OPTIONS).parser,
      message,
    )

    expect(outcome).toMatchObject({
      parts: [
        { data: 'X', target: { start: 2, end: 3, completeLength: 34 } },
        { data: 'YZ', target: { start: 32, end: 34, completeLength: 34 } },
      ],
    })
  })

  test('the Node.js client, which leaves out the unit', () => {
    const message = 'Content-Range: 10-13/300\r\nContent-Length: 4\r\n\r\nabcd'

    const outcome = everySplit(
      () => createPartParser(['message/byterange'], OPTIONS).parser,
      message,
    )

    expect(outcome).toMatchObject({
      parts: [{ data: 'abcd', target: { start: 10, end: 14, completeLength: 300 } }],
    })
  })

  test('the Node.js client, when all was stored before', () => {
    const message = 'Content-Range: 300-299/300\r\nContent-Length: 0\r\n\r\n'

    const outcome = everySplit(
      () => createPartParser(['message/byterange'], OPTIONS).parser,
      message,
    )

    const target = { kind: 'range', start: 300, end: 300, completeLength: 300 }
    expect(outcome).toMatchObject({ parts: [{ target, data: '' }] })
  })
})
