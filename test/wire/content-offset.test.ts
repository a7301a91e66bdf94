/** Content-Offset in the header of a part, whose length follows from its data. */
import { describe, expect, it } from 'vitest'

import { digest } from '../support/digest.ts'
import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  chunked,
  json,
  message,
  request,
} from '../support/wire/client.ts'
import { CORNERS, MEMORY, useServer } from '../support/wire/server.ts'

const GIVEN = ['∅', 'I(0/10)', 'I(4/10)', 'I(4/*)', 'I(10/*)', 'C(10)', 'C(4)']
/** A Content-Offset and data, and the Content-Range that means the same. */
const SAME: readonly (readonly [offset: string, data: string, range: string])[] = [
  ['0', 'abcd', 'bytes 0-3/*'],
  ['0;complete-length=10', 'abcd', 'bytes 0-3/10'],
  ['0;complete-length=10', 'abcdefghij', 'bytes 0-9/10'],
  ['2', 'cdef', 'bytes 2-5/*'],
  ['2;complete-length=10', 'CDEF', 'bytes 2-5/10'],
  ['4', 'efghij', 'bytes 4-9/*'],
  ['4;complete-length=10', 'efghij', 'bytes 4-9/10'],
  ['4;complete-length=12', 'efghij', 'bytes 4-9/12'],
  ['4;unit=bytes', 'efghijkl', 'bytes 4-11/*'],
  ['6', 'gh', 'bytes 6-7/*'],
  ['10;complete-length=12', 'kl', 'bytes 10-11/12'],
]

const part = (offset: string, data: string, ...fields: readonly string[]): string =>
  [`Content-Offset: ${offset}`, ...fields, '', data].join('\r\n')

describe.each(CORNERS)('Content-Offset over $name', (combination) => {
  const server = useServer(combination)

  describe.each(GIVEN)('to %s', (given) => {
    it.each(SAME)('of "%s" and "%s" is %s', async (offset, data, range) => {
      const patched = await server.given(given)
      const path = await server.given(given)
      const streamed = await server.given(given)

      const expected = await server.patch(patched, range, data)
      const answer = await server.send('PATCH', path, [MESSAGE], part(offset, data))
      const body = chunked(part(offset, data.slice(0, 1)), data.slice(1))
      const inChunks = await server.send('PATCH', streamed, [MESSAGE, CHUNKED], body)

      const { state, bytes } = await server.snapshot(patched)
      expect([answer.status, inChunks.status]).toEqual([expected.status, expected.status])
      expect(await server.snapshot(path)).toMatchObject({ state, bytes })
      expect(await server.snapshot(streamed)).toMatchObject({ state, bytes })
    })
  })

  it.each([
    ['∅', '0', 400, '∅'],
    ['∅', '0;complete-length=0', 201, 'C(0)'],
    ['∅', '0;complete-length=10', 202, 'I(0/10)'],
    ['I(4/*)', '4;complete-length=10', 202, 'I(4/10)'],
    ['I(4/*)', '4;complete-length=4', 201, 'C(4)'],
    ['I(4/10)', '4;complete-length=10', 202, 'I(4/10)'],
    ['I(4/10)', '3;complete-length=10', 400, 'I(4/10)'],
    ['I(4/10)', '3', 400, 'I(4/10)'],
    ['I(4/10)', '4;complete-length=9', 409, 'I(4/10)'],
    ['C(10)', '10;complete-length=10', 204, 'C(10)'],
    ['I(10/*)', '10', 202, 'I(10/*)'],
    ['C(10)', '10', 204, 'C(10)'],
    ['C(10)', '10;complete-length=12', 202, 'I(10/12)'],
  ])('to %s of "%s" without data is answered %i: %s', async (given, offset, status, state) => {
    const [path, streamed] = [await server.given(given), await server.given(given)]

    const answer = await server.send('PATCH', path, [MESSAGE], part(offset, ''))
    const body = chunked(part(offset, ''))
    const inChunks = await server.send('PATCH', streamed, [MESSAGE, CHUNKED], body)

    expect([answer.status, inChunks.status]).toEqual([status, status])
    expect([await server.state(path), await server.state(streamed)]).toEqual([state, state])
  })

  it.each([
    ['∅', '4;complete-length=10', [400, 404]],
    ['∅', '4', [400, 404]],
    ['I(4/10)', '6', [400, 409]],
    ['C(10)', '12', [400, 409]],
    ['C(10)', '4;complete-length=4', [400, 409]],
  ])('to %s of "%s" without data is refused, as a gap if the length is unknown', async (...row) => {
    const [given, offset, statuses] = row
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [MESSAGE], part(offset, ''))
    const body = chunked(part(offset, ''))
    const inChunks = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)

    expect([answer.status, inChunks.status]).toEqual(statuses)
    expect(await server.snapshot(path)).toEqual(before)
  })

  it.each([
    ['beyond its own complete-length', '∅', '0;complete-length=10', 'abcdefghijk', 400],
    ['beyond its own complete-length', 'I(4/10)', '4;complete-length=10', 'efghijk', 400],
    ['beyond the declared length', 'I(4/10)', '4', 'efghijk', 409],
    ['beyond the declared length', 'I(4/10)', '2', 'cdefghijk', 409],
    ['of a finished resource', 'C(10)', '4;complete-length=10', 'efghijk', 400],
  ])('with data %s rolls %s back: "%s" "%s"', async (_what, given, offset, data, status) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const known = await server.send('PATCH', path, [MESSAGE], part(offset, data))
    const afterKnown = await server.snapshot(path)
    const body = chunked(part(offset, data.slice(0, 3)), data.slice(3, 5), data.slice(5))
    const inChunks = await server.send('PATCH', path, [MESSAGE, CHUNKED], body)
    const after = await server.snapshot(path)

    expect([known.status, inChunks.status]).toEqual([status, status])
    expect(afterKnown).toEqual(before)
    expect([after.state, after.bytes]).toEqual([before.state, before.bytes])
  })

  it.each([
    ['∅', '0;complete-length=10', 'abc', 'I(3/10)'],
    ['∅', '0', 'abc', 'I(3/*)'],
    ['I(4/10)', '4', 'efg', 'I(7/10)'],
    ['I(4/10)', '2;complete-length=10', 'cdefg', 'I(7/10)'],
    ['I(4/*)', '4', 'efg', 'I(7/*)'],
    ['I(4/10)', '4', 'efghij', 'C(10)'],
    ['∅', '0;complete-length=3', 'abc', 'C(3)'],
  ])('to %s of "%s", cut after "%s", keeps %s', async (given, offset, data, state) => {
    const path = await server.given(given)
    const connection = await server.connect()

    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(part(offset, data)))
    if (!state.startsWith('C')) await server.becomes(path, state)
    else await server.becomes(path, `I(${data.length + Number(offset[0])}/${state.slice(2)}`)
    connection.close()

    await server.idle(path)
    await server.becomes(path, state)
  })

  it('is not complete after a cut while it rewrites bytes below its complete-length', async () => {
    const path = await server.given('I(4/*)')
    const connection = await server.connect()

    connection.send(
      request('PATCH', path, [MESSAGE, CHUNKED]),
      chunk(part('0;complete-length=4', 'WX')),
    )
    await expect.poll(async () => (await server.snapshot(path)).bytes).toBe('WXcd')
    connection.close()

    await server.idle(path)
    expect(await server.state(path)).toBe('I(4/*)')
  })

  it.each([
    ['beside Content-Range', [part('4', 'ef', 'Content-Range: bytes 4-5/10')], 400],
    ['beside Range', [part('4', 'ef', 'Range: bytes=4-5')], 400],
    ['twice', [part('4', 'ef', 'Content-Offset: 4')], 400],
    ['beside another Content-Length', [part('4', 'ef', 'Content-Length: 3')], 400],
    ['with a quoted length', [part('4;complete-length="10"', 'ef')], 400],
    ['in another unit', [part('4;unit=lines', 'ef')], 422],
  ])('%s is refused', async (_what, [document = ''], status) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)

    const answer = await server.send('PATCH', path, [MESSAGE], document)

    expect(json(answer)).toMatchObject({ status })
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('places the parts of a multipart, which may fill each other’s gaps', async () => {
    const path = await server.given('I(4/10)')
    const parts = [part('8;complete-length=10', 'ij'), part('4', 'efgh', 'Content-Length: 4')]
    const document = `--SEP\r\n${parts.join('\r\n--SEP\r\n')}\r\n--SEP--`

    const answer = await server.send('PATCH', path, [MULTIPART], document)

    expect(answer.status).toBe(201)
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(10)', bytes: 'abcdefghij' })
  })

  it('in a multipart leaves nothing of a patch with a gap', async () => {
    const path = await server.given('I(4/10)')
    const document = `--SEP\r\n${part('4', 'ef')}\r\n--SEP\r\n${part('8', 'ij')}\r\n--SEP--`

    const answer = await server.send('PATCH', path, [MULTIPART], document)

    expect([answer.status, await server.state(path)]).toEqual([409, 'I(4/10)'])
  })

  it('without a length is complete once a later patch announces it', async () => {
    const path = server.path()

    const statuses = [
      (await server.send('PATCH', path, [MESSAGE, CHUNKED], chunked(part('0', 'abc')))).status,
      (await server.send('PATCH', path, [MESSAGE, CHUNKED], chunked(part('3', 'def')))).status,
      (await server.patch(path, 'bytes */6')).status,
    ]

    expect(statuses).toEqual([202, 202, 201])
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(6)', bytes: 'abcdef' })
  })
})

describe('Content-Offset', () => {
  const server = useServer(MEMORY, { maxSize: 10 })

  it.each([
    ['a known length', [MESSAGE], (text: string) => text],
    ['an unknown length', [MESSAGE, CHUNKED], (text: string) => chunked(text)],
  ])('of data with %s is held to maxSize', async (_what, fields, encode) => {
    const path = await server.given('I(4/*)')

    const answer = await server.send('PATCH', path, fields, encode(part('4', 'efghijk')))

    expect(json(answer)).toMatchObject({ status: 400, code: 'ERR_SIZE_LIMIT', limit: 10 })
    expect(await server.state(path)).toBe('I(4/*)')
  })

  it('rolls back what arrived before maxSize was exceeded', async () => {
    const path = await server.given('I(4/*)')
    const connection = await server.connect()
    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(part('4', 'efg')))
    await server.becomes(path, 'I(7/*)')

    const answer = await connection.send(chunked('hijk')).answer('PATCH')

    expect(json(answer)).toMatchObject({ code: 'ERR_SIZE_LIMIT' })
    expect(await server.state(path)).toBe('I(4/*)')
  })

  it('rolls back what arrived before the declared length was exceeded', async () => {
    const path = await server.given('I(4/8)')
    const connection = await server.connect()
    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]), chunk(part('4', 'efg')))
    await server.becomes(path, 'I(7/8)')

    const answer = await connection.send(chunked('hi')).answer('PATCH')

    expect(json(answer)).toMatchObject({ code: 'ERR_COMPLETE_LENGTH', received: 4, length: 8 })
    expect(await server.state(path)).toBe('I(4/8)')
  })

  it('is verified by a Content-Digest in the trailer', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()
    const text = part('4', 'efg')
    const trailer = (value: string) => `0\r\nContent-Digest: ${value}\r\n\r\n`
    const head = request('PATCH', path, [MESSAGE, CHUNKED])

    const wrong = await connection
      .send(head, chunk(text), trailer(digest('something else')))
      .answer('PATCH')
    const right = await (
      await server.connect()
    )
      .send(head, chunk(text), trailer(digest(text)))
      .answer('PATCH')

    expect([wrong.status, right.status, await server.state(path)]).toEqual([400, 202, 'I(7/10)'])
  })

  it('is named by the problem document of a message that gives no position', async () => {
    const answer = await server.send('PATCH', server.path(), [MESSAGE], 'X: y\r\n\r\nab')

    expect(json(answer)['detail']).toContain(
      'expected Content-Range or Content-Offset, found neither',
    )
  })

  it('is a message as the one with Content-Range', async () => {
    const [one, other] = [server.path(), server.path()]

    const first = await server.send('PATCH', one, [MESSAGE], part('0;complete-length=6', 'abc'))
    const second = await server.send('PATCH', other, [MESSAGE], message('bytes 0-2/6', 'abc'))

    expect(first.body).toEqual(second.body)
  })
})

describe('Content-Offset with preset ietf', () => {
  const server = useServer(MEMORY, { preset: 'ietf' })

  it('continues an upload whatever If-None-Match: * says', async () => {
    const path = server.path()
    const send = (offset: string, data: string) =>
      server.send('PATCH', path, [MESSAGE, 'If-None-Match: *'], part(offset, data))

    const statuses = [
      (await send('0;complete-length=6', 'abc')).status,
      (await send('3;complete-length=6', 'def')).status,
      (await send('0;complete-length=6', 'abcdef')).status,
    ]

    expect(statuses).toEqual([200, 200, 412])
  })
})
