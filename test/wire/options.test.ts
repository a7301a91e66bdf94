/** The options that change the state rules and the statuses. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, field, json, message, multipart } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

type Row = readonly [given: string, contentRange: string, data: string, status: number]

function itAnswers(server: TestServer, rows: readonly Row[]): void {
  it.each(rows)('answers %s "%s" with "%s" by %i', async (given, range, data, status) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)

    const answer = await server.patch(path, range, data)

    expect(answer.status).toBe(status)
    if (status >= 400) expect(await server.snapshot(path)).toEqual(before)
  })
}

describe('appendOnly', () => {
  itAnswers(useServer(MEMORY, { appendOnly: true }), [
    ['I(4/10)', 'bytes 1-2/10', 'BC', 409],
    ['I(4/10)', 'bytes 2-5/10', 'CDEF', 409],
    ['I(4/10)', 'bytes 1-2/10', 'bc', 202],
    ['I(4/10)', 'bytes 2-5/10', 'cdEF', 202],
    ['I(4/10)', 'bytes 4-5/10', 'EF', 202],
    ['I(4/10)', 'bytes 0-9/10', 'abcdEFGHIJ', 201],
  ])
})

describe("finished: 'immutable'", () => {
  itAnswers(useServer(MEMORY, { finished: 'immutable' }), [
    ['C(10)', 'bytes 1-2/10', 'bc', 204],
    ['C(10)', 'bytes 0-9/10', 'abcdefghij', 204],
    ['C(10)', 'bytes */10', '', 204],
    ['C(10)', 'bytes 1-2/10', 'BC', 409],
    ['C(10)', 'bytes 10-11/12', 'KL', 409],
    ['C(10)', 'bytes */4', '', 409],
    ['I(4/10)', 'bytes 1-2/10', 'BC', 202],
    ['I(4/10)', 'bytes 4-9/10', 'EFGHIJ', 201],
  ])
})

describe("finished: 'same-length'", () => {
  const server = useServer(MEMORY, { finished: 'same-length' })
  itAnswers(server, [
    ['C(10)', 'bytes 1-2/10', 'BC', 204],
    ['C(10)', 'bytes */10', '', 204],
    ['C(10)', 'bytes 0-3/20', 'ABCD', 409],
    ['C(10)', 'bytes 10-11/20', 'KL', 409],
    ['C(10)', 'bytes */20', '', 409],
    ['C(10)', 'bytes 10-11/12', 'KL', 409],
    ['C(10)', 'bytes 10-11/*', 'KL', 409],
  ])

  it('refuses to shorten a finished resource', async () => {
    const path = await server.given('C(10)')

    const answer = await server.patch(path, 'bytes */4')

    expect([403, 409]).toContain(answer.status)
    expect(await server.state(path)).toBe('C(10)')
  })
})

describe('maxSize', () => {
  itAnswers(useServer(MEMORY, { maxSize: 12 }), [
    ['∅', 'bytes 0-11/12', 'ABCDEFGHIJKL', 201],
    ['∅', 'bytes 0-11/*', 'ABCDEFGHIJKL', 202],
    ['∅', 'bytes 0-3/13', 'ABCD', 400],
    ['∅', 'bytes 0-12/*', 'ABCDEFGHIJKLM', 400],
    ['∅', 'bytes */13', '', 400],
    ['∅', 'bytes 12-12/*', 'M', 400],
    ['C(10)', 'bytes 10-12/*', 'KLM', 400],
    ['I(4/10)', 'bytes 4-5/13', 'EF', 400],
  ])

  const server = useServer(MEMORY, { maxSize: 12 })
  it('is in the problem document', async () => {
    const answer = await server.patch(server.path(), 'bytes 0-3/13', 'ABCD')

    expect(json(answer)).toMatchObject({ status: 400, limit: 12 })
  })
})

describe('maxParts', () => {
  const server = useServer(MEMORY, { maxParts: 2 })
  const byte = (position: number) => [`bytes ${position}-${position}/10`, 'X'] as const

  it.each([
    [2, 202, 'I(2/10)'],
    [3, 400, '∅'],
  ])('answers a patch of %i parts by %i', async (count, status, then) => {
    const path = server.path()
    const body = multipart(...[0, 1, 2].slice(0, count).map(byte))

    const answer = await server.send('PATCH', path, [MULTIPART], body)

    expect([answer.status, await server.state(path)]).toEqual([status, then])
  })
})

describe('maxPartHeaderSize', () => {
  const server = useServer(MEMORY, { maxPartHeaderSize: 100 })

  it.each([
    [20, 202],
    [200, 400],
  ])('answers a part with a further field of %i bytes by %i', async (length, status) => {
    const body = `X: ${'x'.repeat(length)}\r\n${message('bytes 0-3/10', 'ABCD').toString()}`

    const answer = await server.send('PATCH', server.path(), [MESSAGE], body)

    expect(answer.status).toBe(status)
  })
})

describe('If-None-Match: * on every segment, with the statuses of the seed but the preset ietf', () => {
  const statuses = { segmentStatus: 202, incompleteStatus: 299, createdStatus: 201 }
  const server = useServer(MEMORY, { preset: 'ietf', ...statuses })

  it.each([
    ['∅', 'bytes 0-3/10', 'ABCD', 202],
    ['I(4/10)', 'bytes 4-5/10', 'EF', 202],
    ['I(4/10)', 'bytes 2-5/10', 'cdEF', 202],
    ['I(4/10)', 'bytes 4-9/10', 'EFGHIJ', 201],
    ['I(4/10)', 'bytes 0-3/10', 'ABCD', 412],
    ['I(4/10)', 'bytes 5-6/10', 'FG', 412],
    ['I(4/10)', 'bytes 4-5/11', 'EF', 412],
    ['C(10)', 'bytes 4-5/10', 'EF', 412],
  ])('answers %s "%s" with "%s" by %i', async (given, range, data, status) => {
    const path = await server.given(given)

    const answer = await server.patch(path, range, data, 'If-None-Match: *')

    expect(answer.status).toBe(status)
  })
})

describe('requirePreconditions', () => {
  const server = useServer(MEMORY, { requirePreconditions: true })

  it('refuses a PATCH without one with 428', async () => {
    const path = server.path()

    const answer = await server.patch(path, 'bytes 0-3/10', 'ABCD')

    expect(json(answer)).toMatchObject({ status: 428 })
    expect(await server.state(path)).toBe('∅')
  })

  it.each(['If-Unmodified-Since: today', 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT'])(
    'refuses a PATCH whose condition is ignored: %s',
    async (field) => {
      const answer = await server.patch(server.path(), 'bytes 0-3/10', 'ABCD', field)

      expect(json(answer)).toMatchObject({ status: 428 })
    },
  )

  it('accepts a PATCH with one', async () => {
    const answer = await server.patch(server.path(), 'bytes 0-3/10', 'ABCD', 'If-None-Match: *')

    expect(answer.status).toBe(202)
  })
})

describe('exposeIncomplete: false', () => {
  const server = useServer(MEMORY, { exposeIncomplete: false })

  it('hides the bytes of an incomplete resource and still reports their number', async () => {
    const path = await server.given('I(4/10)')

    const get = await server.send('GET', path)

    expect([404, 409]).toContain(get.status)
    expect(get.body.toString()).not.toContain('abcd')
    expect(await server.state(path)).toBe('I(4/10)')
  })
})

describe('key', () => {
  const server = useServer(MEMORY, { key: (req) => (req.path === '/none' ? null : 'one') })

  it('maps a request to a resource', async () => {
    await server.patch('/files/a', 'bytes 0-3/10', 'abcd')

    expect(await server.state('/files/b')).toBe('I(4/10)')
  })

  it('passes on a request without a key', async () => {
    const answer = await server.send('GET', '/files/none')

    expect(field(answer, 'x-passed-on')).toBe('yes')
  })
})
