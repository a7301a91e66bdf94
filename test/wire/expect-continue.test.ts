/**
 * `Expect: 100-continue`: the server asks for the content only after all checks that do not need
 * it.
 */
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunked,
  message,
  multipart,
  request,
} from '../support/wire/client.ts'
import { SHELLS, useServer } from '../support/wire/server.ts'

const EXPECT = 'Expect: 100-continue'
const DOCUMENT = message('bytes 4-9/10', 'efghij')
const LENGTH = `Content-Length: ${DOCUMENT.length}`

type Row = readonly [
  why: string,
  method: string,
  given: string,
  fields: readonly string[],
  status: number,
]

const REFUSED: readonly Row[] = [
  ['a false precondition', 'PATCH', 'I(4/10)', [MESSAGE, LENGTH, 'If-None-Match: *'], 412],
  ['a false precondition', 'PATCH', '∅', [MESSAGE, LENGTH, 'If-Match: *'], 412],
  ['another type', 'PATCH', 'I(4/10)', ['Content-Type: image/png', LENGTH], 415],
  ['a coding', 'PATCH', 'I(4/10)', [MESSAGE, LENGTH, 'Content-Encoding: gzip'], 415],
  ['too much content', 'PATCH', 'I(4/10)', [MESSAGE, 'Content-Length: 2000'], 413],
  ['its method', 'POST', 'I(4/10)', [LENGTH], 405],
  ['Content-Range', 'PUT', '∅', [LENGTH, 'Content-Range: bytes 0-1/2'], 400],
  ['a false precondition', 'PUT', 'C(10)', [LENGTH, 'If-None-Match: *'], 412],
]

describe.each(SHELLS)('over $name', (combination) => {
  const server = useServer(combination, { maxSize: 1000, maxParts: 1, maxPartHeaderSize: 500 })

  it.each(REFUSED)('is not answered by 100 after %s: %s of %s', async (...row) => {
    const [, method, given, fields, status] = row
    const path = await server.given(given)
    const connection = await server.connect()

    connection.send(request(method, path, [...fields, EXPECT]))
    const answer = await connection.answer()

    expect(answer.status).toBe(status)
    expect(connection.interim).toEqual([])
    expect(await server.state(path)).toBe(given)
  })

  it.each([
    ['one message', [MESSAGE, LENGTH], DOCUMENT],
    ['one message in chunks', [MESSAGE, CHUNKED], chunked(DOCUMENT)],
    [
      'a multipart',
      [MULTIPART, `Content-Length: ${multipart(['bytes 4-9/10', 'efghij']).length}`],
      multipart(['bytes 4-9/10', 'efghij']),
    ],
  ])('is answered by 100 and then by the final status: %s', async (_what, fields, body) => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('PATCH', path, [...fields, EXPECT]))
    await connection.continue()
    const answer = await connection.send(body).answer()

    expect(answer.status).toBe(201)
    expect(connection.interim).toEqual([])
  })

  it('is answered by 100 for a PUT', async () => {
    const connection = await server.connect()

    connection.send(request('PUT', server.path(), ['Content-Length: 4', EXPECT]))
    await connection.continue()

    expect((await connection.send('abcd').answer()).status).toBe(201)
  })

  it('is answered by 100 before a fault of the content is found', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()
    const gap = message('bytes 6-9/10', 'ghij')

    connection.send(request('PATCH', path, [MESSAGE, `Content-Length: ${gap.length}`, EXPECT]))
    await connection.continue()

    expect((await connection.send(gap).answer()).status).toBe(409)
  })

  it('does not delay a client that sends its content at once', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('PATCH', path, [MESSAGE, EXPECT], DOCUMENT))

    expect((await connection.answer()).status).toBe(201)
  })

  it('keeps the connection usable after a good request', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    const first = await connection
      .send(request('PATCH', path, [MESSAGE, EXPECT], DOCUMENT))
      .answer()
    const second = await connection.send(request('HEAD', path)).answer('HEAD')

    expect([first.status, second.status]).toEqual([201, 200])
  })
})
