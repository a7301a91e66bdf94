/** PUT: a whole resource in one request, and the resource after a cut. */
import { describe, expect, it } from 'vitest'

import { CHUNKED, chunk, chunked, field, request } from '../support/wire/client.ts'
import { MEMORY, SHELLS, useServer } from '../support/wire/server.ts'

const PERSIST = 'Prefer: transaction=persist'

describe.each(SHELLS)('PUT over $name', (combination) => {
  const server = useServer(combination)

  it.each([
    ['∅', 'new', 201, 'C(3)'],
    ['∅', '', 201, 'C(0)'],
    ['I(4/10)', 'new', 201, 'C(3)'],
    ['I(0/10)', 'new', 201, 'C(3)'],
    ['I(4/*)', '', 201, 'C(0)'],
    ['C(10)', 'new', 204, 'C(3)'],
    ['C(10)', '', 204, 'C(0)'],
    ['C(0)', 'new', 204, 'C(3)'],
  ])('to %s of "%s" is answered %i and gives %s', async (given, data, status, then) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.send('PUT', path, ['Content-Length: ' + data.length], data)

    const after = await server.snapshot(path)
    expect(answer.status).toBe(status)
    expect([after.state, after.bytes]).toEqual([then, data])
    expect(after.etag).not.toBe(before.etag)
    expect(field(answer, 'etag')).toBe(after.etag)
    expect(field(answer, 'last-modified')).toBe(after.lastModified)
  })

  it('takes content in chunks', async () => {
    const path = server.path()

    const answer = await server.send('PUT', path, [CHUNKED], chunked('ab', 'c', 'de'))

    expect(answer.status).toBe(201)
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(5)', bytes: 'abcde' })
  })

  it.each([
    [['Content-Type: text/plain; charset=utf-8'], 'text/plain; charset=utf-8'],
    [[], 'application/octet-stream'],
  ])('with %j is served as %s', async (fields, type) => {
    const path = server.path()

    await server.send('PUT', path, fields, 'abc')

    expect(field(await server.head(path), 'content-type')).toBe(type)
  })

  it('of a resource that was complete before is answered 204', async () => {
    const path = await server.given('C(4)')
    await server.patch(path, 'bytes */8')

    const answer = await server.send('PUT', path, [], 'new')

    expect(answer.status).toBe(204)
  })

  it('drops the declared length', async () => {
    const path = await server.given('I(4/10)')
    await server.send('PUT', path, [], 'new')

    const answer = await server.patch(path, 'bytes 3-3/4', '!')

    expect(answer.status).toBe(204)
    expect((await server.snapshot(path)).bytes).toBe('new!')
  })

  it.each(['message/byteranges', 'message/byterange', 'multipart/byteranges; boundary=SEP'])(
    'of a patch document is refused: %s',
    async (type) => {
      const path = server.path()

      const answer = await server.send('PUT', path, [`Content-Type: ${type}`], 'new')

      expect([answer.status, await server.state(path)]).toEqual([415, '∅'])
    },
  )

  it('of coded content is replayed with its coding or refused', async () => {
    const path = server.path()

    const answer = await server.send('PUT', path, ['Content-Encoding: gzip'], 'new')

    const head = await server.head(path)
    expect([
      [201, 'gzip'],
      [415, null],
    ]).toContainEqual([answer.status, field(head, 'content-encoding')])
  })

  describe.each(['Content-Length: 10', CHUNKED])('with %s, cut after 3 bytes', (length) => {
    const abc = length === CHUNKED ? chunk('abc') : 'abc'

    it.each(['∅', 'I(4/10)', 'C(10)'])('changes nothing of %s', async (given) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)
      const connection = await server.connect()

      connection.send(request('PUT', path, [length]), abc).close()

      await connection.closed()
      await server.idle(path)
      expect(await server.snapshot(path)).toEqual(before)
    })

    it.each(['I(4/10)', 'C(10)'])('and persist changes nothing of %s', async (given) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)
      const connection = await server.connect()

      connection.send(request('PUT', path, [length, PERSIST]), abc).close()

      await connection.closed()
      await server.idle(path)
      expect(await server.snapshot(path)).toEqual(before)
    })

    it('and persist is kept for a new resource, and a PATCH finishes it', async () => {
      const path = server.path()
      const total = length === CHUNKED ? '*' : '10'
      const connection = await server.connect()
      const fields = [length, PERSIST, 'Content-Type: text/plain']

      connection.send(request('PUT', path, fields), abc).close()
      await server.becomes(path, `I(3/${total})`)
      await server.idle(path)
      const answer = await server.patch(path, 'bytes 3-9/10', 'defghij')

      expect(answer.status).toBe(201)
      expect(await server.snapshot(path)).toMatchObject({
        state: 'C(10)',
        bytes: 'abcdefghij',
        contentType: 'text/plain',
      })
    })
  })

  it('with persist reports what was done', async () => {
    const answer = await server.send('PUT', server.path(), [PERSIST], 'abc')

    expect(answer.status).toBe(201)
    expect([null, 'transaction=persist']).toContain(field(answer, 'preference-applied'))
  })
})

describe("PUT with put: 'persist'", () => {
  const server = useServer(MEMORY, { put: 'persist' })

  it('is kept without a preference', async () => {
    const path = server.path()
    const connection = await server.connect()

    connection.send(request('PUT', path, ['Content-Length: 10']), 'abc').close()

    await server.becomes(path, 'I(3/10)')
    expect((await server.snapshot(path)).bytes).toBe('abc')
  })
})

describe('PUT with put: false', () => {
  const server = useServer(MEMORY, { put: false })

  it('is answered 405', async () => {
    const path = server.path()

    const answer = await server.send('PUT', path, [], 'abc')

    expect(answer.status).toBe(405)
    expect(field(answer, 'allow')).toBe('GET, HEAD, PATCH, DELETE, OPTIONS')
    expect(await server.state(path)).toBe('∅')
  })
})

describe('PUT with maxSize', () => {
  const server = useServer(MEMORY, { maxSize: 10 })

  it.each<readonly [string, readonly string[], string]>([
    ['in one piece', [], 'x'.repeat(11)],
    ['in chunks', [CHUNKED], chunked('x'.repeat(6), 'x'.repeat(5)).toString()],
  ])('is refused beyond it: %s', async (_what, fields, body) => {
    const path = server.path()

    const answer = await server.send('PUT', path, fields, body)

    expect([400, 413]).toContain(answer.status)
    expect(await server.state(path)).toBe('∅')
  })

  it('is accepted up to it', async () => {
    expect((await server.send('PUT', server.path(), [], 'x'.repeat(10))).status).toBe(201)
  })
})
