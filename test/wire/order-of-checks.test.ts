/** Requests with two faults, which are answered by the earlier check. */
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunked,
  field,
  json,
  message,
  multipart,
} from '../support/wire/client.ts'
import type { Answer, Bytes } from '../support/wire/client.ts'
import { EXPRESSES, MEMORY, useServer } from '../support/wire/server.ts'

const PNG = 'Content-Type: image/png'
const GZIP = 'Content-Encoding: gzip'
const GOOD = message('bytes 4-5/10', 'EF')
const GARBAGE = 'garbage'
const GAP = message('bytes 7-8/10', 'HI')
const LARGE = message('bytes 4-9/10', 'x'.repeat(2000))

type Row = readonly [
  faults: string,
  given: string,
  fields: readonly string[],
  body: Bytes,
  status: number,
]

const ROWS: readonly Row[] = [
  ['two types, a coding', 'I(4/10)', [MESSAGE, PNG, GZIP], GOOD, 400],
  ['two types, a false precondition', 'I(4/10)', [PNG, MESSAGE, 'If-None-Match: *'], GOOD, 400],
  ['no type, a coding', 'I(4/10)', [GZIP], GOOD, 415],
  ['another type, a coding', 'I(4/10)', [PNG, GZIP], GOOD, 415],
  ['another type, too much content', 'I(4/10)', [PNG], LARGE, 415],
  ['another type, a false precondition', 'I(4/10)', [PNG, 'If-None-Match: *'], GOOD, 415],
  ['another type, garbage', 'I(4/10)', [PNG], GARBAGE, 415],
  ['another type on nothing', '∅', [PNG], GOOD, 415],
  ['a coding, too much content', 'I(4/10)', [MESSAGE, GZIP], LARGE, 415],
  ['a coding, a false precondition', 'I(4/10)', [MESSAGE, GZIP, 'If-None-Match: *'], GOOD, 415],
  ['a coding, garbage', 'I(4/10)', [MESSAGE, GZIP], GARBAGE, 415],
  ['too much content, a false precondition', 'I(4/10)', [MESSAGE, 'If-None-Match: *'], LARGE, 413],
  ['too much content, no such resource', '∅', [MESSAGE], LARGE, 413],
  ['a false precondition, garbage', 'I(4/10)', [MESSAGE, 'If-None-Match: *'], GARBAGE, 412],
  ['a false precondition, no content', 'I(4/10)', [MESSAGE, 'If-Match: "x"'], '', 412],
  ['a false precondition, a gap', 'I(4/10)', [MESSAGE, 'If-Match: "x"'], GAP, 412],
  ['a false precondition, no such resource', '∅', [MESSAGE, 'If-Match: *'], GOOD, 412],
  ['a malformed range, no such resource', '∅', [MESSAGE], message('bytes 5-4/10', 'x'), 400],
  ['another unit, a gap', 'I(4/10)', [MESSAGE], message('items 7-8/10', 'HI'), 422],
  [
    'a range beyond its total, another total',
    'C(10)',
    [MESSAGE],
    message('bytes 4-9/8', 'EF'),
    400,
  ],
  ['the wrong length, no such resource', '∅', [MESSAGE], message('bytes 4-5/10', 'E'), 400],
  ['the wrong length, a gap', 'I(4/10)', [MESSAGE], message('bytes 7-8/10', 'HIJ'), 400],
  ['the wrong length, another total', 'I(4/10)', [MESSAGE], message('bytes 4-5/11', 'E'), 400],
]

describe.each(EXPRESSES)('over $name', (combination) => {
  const server = useServer(combination, { maxSize: 1000, maxParts: 8, maxPartHeaderSize: 100 })

  it.each(ROWS)('a PATCH with %s to %s is refused for the first', async (...row) => {
    const [, given, fields, body, status] = row
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, fields, body)

    expect(answer.status).toBe(status)
    if (status !== 404) expect(json(answer)).toMatchObject({ status })
    expectFieldsOf(answer, fields)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it.each([
    ['gzip, chunked', PNG],
    ['gzip, chunked', MESSAGE],
    ['xchunked', MESSAGE],
    ['chunked, gzip', MESSAGE],
  ])('a transfer coding of %s with %s is refused first', async (coding, type) => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()
    const head = `PATCH ${path} HTTP/1.1\r\nHost: test\r\n${type}\r\nTransfer-Encoding: ${coding}\r\n\r\n`

    const answer = await connection.send(head, chunked(GOOD)).answerOrClose()

    // Node's parser also refuses a last transfer coding other than chunked, and may answer first.
    expect(coding === 'gzip, chunked' ? [501] : [400, 501]).toContain(answer?.status)
    await connection.closed()
    expect(await server.state(path)).toBe('I(4/10)')
  })

  it('an unknown expectation is refused before the type', async () => {
    const answer = await server.send('PATCH', server.path(), ['Expect: magic', PNG], GOOD)

    expect(answer.status).toBe(417)
  })

  it.each(['/files/%zz', '/files/a%00b', '/files/../a', '/files/a/%2e%2e/b', '/files/a%5cb'])(
    'a path that names nothing is refused before the type: %s',
    async (path) => {
      const answer = await server.send('PATCH', path, [PNG, GZIP], GOOD)

      expect([400, 404]).toContain(answer.status)
    },
  )
})

describe('with requirePreconditions', () => {
  const server = useServer(MEMORY, {
    requirePreconditions: true,
    maxSize: 1000,
    maxParts: 8,
    maxPartHeaderSize: 100,
  })

  it.each<readonly [string, readonly string[], Bytes, number]>([
    ['another type', [PNG], GOOD, 415],
    ['a coding', [MESSAGE, GZIP], GOOD, 415],
    ['too much content', [MESSAGE], LARGE, 413],
    ['garbage', [MESSAGE], GARBAGE, 428],
    ['nothing else', [MESSAGE], GOOD, 428],
  ])('a PATCH without one and with %s is refused for the first', async (...row) => {
    const [, fields, body, status] = row

    const answer = await server.send('PATCH', server.path(), fields, body)

    expect(answer.status).toBe(status)
  })
})

describe('content of unknown length', () => {
  const server = useServer(MEMORY, { maxSize: 1000, maxParts: 8, maxPartHeaderSize: 100 })

  it('is refused when it becomes too long', async () => {
    const path = await server.given('I(4/*)')
    const parts = Array.from({ length: 4 }, () => ['bytes 4-503/*', 'x'.repeat(500)] as const)
    const body = chunked(multipart(...parts))

    const answer = await server.send('PATCH', path, [MULTIPART, CHUNKED], body)

    expect(answer.status).toBe(413)
  })
})

describe('a request field without a meaning here', () => {
  const server = useServer(MEMORY)

  it.each(['Content-Range: bytes 0-0/1', 'Range: bytes=0-0', 'REM-patch-range: 0-0/1'])(
    'is ignored: %s',
    async (line) => {
      const path = await server.given('I(4/10)')

      const answer = await server.patch(path, 'bytes 4-5/10', 'EF', line)

      expect(answer.status).toBe(202)
      expect(await server.state(path)).toBe('I(6/10)')
    },
  )

  it.each([
    'message/byteranges',
    'message/byterange',
    'Message/ByteRanges',
    'message/byteranges; charset=utf-8',
    'message/byteranges;a="b;c"',
  ])('is the type in all its spellings: %s', async (type) => {
    const path = await server.given('I(4/10)')

    const answer = await server.send('PATCH', path, [`Content-Type: ${type}`], GOOD)

    expect(answer.status).toBe(202)
  })

  it.each(['message/http', 'message/byterangesx', 'multipart/x-byteranges', 'byteranges', ''])(
    'is another type: %s',
    async (type) => {
      const answer = await server.send('PATCH', server.path(), [`Content-Type: ${type}`], GOOD)

      expect(answer.status).toBe(415)
      expect(field(answer, 'accept-patch')).toContain('message/byteranges')
    },
  )
})

/** Fields of a refusal beside its problem document. */
function expectFieldsOf(answer: Answer, request: readonly string[]): void {
  if (answer.status === 413) expect(field(answer, 'connection')).toBe('close')
  if (answer.status !== 415) return
  const types = /^message\/byteranges, ?.*multipart\/byteranges/
  if (request.includes(MESSAGE)) expect(field(answer, 'accept-encoding')).toBe('identity')
  else expect(field(answer, 'accept-patch')).toMatch(types)
}
