/** PUT with Content-Range (RFC 9110 §14.5): curl's way to resume an upload. */
import { RefusedError, type FinishedResource, type NewResource } from 'partial-upload'
import { describe, expect, it } from 'vitest'

import { digest } from '../support/digest.ts'
import { CHUNKED, chunk, chunked, field, json, request } from '../support/wire/client.ts'
import { CORNERS, MEMORY, letters, useServer } from '../support/wire/server.ts'

const GIVEN = ['∅', 'I(0/10)', 'I(4/10)', 'I(4/*)', 'I(10/*)', 'C(10)', 'C(4)']
/** Ranges that are not the whole resource, and their data. */
const RANGES: readonly (readonly [range: string, data: string])[] = [
  ['bytes 0-3/10', 'abcd'],
  ['bytes 0-3/*', 'ABCD'],
  ['bytes 2-5/10', 'cdef'],
  ['bytes 4-9/10', 'efghij'],
  ['bytes 4-9/12', 'efghij'],
  ['bytes 4-5/*', 'EF'],
  ['bytes 6-9/10', 'ghij'],
  ['bytes 10-11/12', 'kl'],
  ['bytes 9-11/*', 'jkl'],
  ['bytes */10', ''],
  ['bytes */4', ''],
  ['bytes 4-3/10', ''],
  ['bytes 10-9/10', ''],
  ['4-9/10', 'efghij'],
]

const put = (range: string, ...fields: readonly string[]): readonly string[] => [
  `Content-Range: ${range}`,
  ...fields,
]

describe.each(CORNERS)('a partial PUT over $name', (combination) => {
  const server = useServer(combination)

  describe.each(GIVEN)('to %s', (given) => {
    it.each(RANGES)('of "%s" has the effect of a PATCH', async (range, data) => {
      const [patched, path, streamed] = [
        await server.given(given),
        await server.given(given),
        await server.given(given),
      ]

      const expected = await server.patch(patched, range, data)
      const answer = await server.send('PUT', path, put(range), data)
      const inChunks = await server.send('PUT', streamed, put(range, CHUNKED), chunked(data))

      const { state, bytes } = await server.snapshot(patched)
      expect([answer.status, inChunks.status]).toEqual([expected.status, expected.status])
      expect(await server.snapshot(path)).toMatchObject({ state, bytes })
      expect(await server.snapshot(streamed)).toMatchObject({ state, bytes })
      if (expected.status < 400) expect(answer.body).toEqual(expected.body)
    })
  })

  it.each([
    ['∅', 201],
    ['I(4/10)', 201],
    ['I(2/8)', 201],
    ['C(10)', 204],
    ['C(4)', 204],
    ['C(20)', 204],
  ])('of all bytes replaces %s, answered %i', async (given, status) => {
    const path = await server.given(given)
    const data = letters(10).toUpperCase()

    const answer = await server.send('PUT', path, put('bytes 0-9/10'), data)

    expect(answer.status).toBe(status)
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(10)', bytes: data })
  })

  it('of all bytes in chunks is a patch, because the content may end early', async () => {
    const path = await server.given('C(20)')

    const answer = await server.send('PUT', path, put('bytes 0-9/10', CHUNKED), chunked('x'))

    expect([answer.status, await server.state(path)]).toEqual([409, 'C(20)'])
  })

  it.each([
    ['∅', 'bytes 0-9/10', 'abc', 'I(3/10)', 'abc'],
    ['∅', 'bytes 0-5/10', 'abc', 'I(3/10)', 'abc'],
    ['I(4/10)', 'bytes 4-9/10', 'efg', 'I(7/10)', 'abcdefg'],
    ['I(4/10)', 'bytes 0-8/10', 'abcdef', 'I(6/10)', 'abcdef'],
  ])('to %s of "%s", cut after "%s", keeps it', async (given, range, data, state, bytes) => {
    const path = await server.given(given)
    const connection = await server.connect()
    const fields = put(range, 'Content-Length: ' + lengthOf(range))

    connection.send(request('PUT', path, fields), data)
    await server.becomes(path, state)
    connection.close()

    await server.idle(path)
    expect(await server.snapshot(path)).toMatchObject({ state, bytes })
  })

  it('in chunks keeps the bytes before a cut', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('PUT', path, put('bytes 4-9/10', CHUNKED)), chunk('efg'))
    await server.becomes(path, 'I(7/10)')
    connection.close()

    await server.idle(path)
    expect((await server.snapshot(path)).bytes).toBe('abcdefg')
  })

  it.each([
    ['∅', 'bytes 0-9/10', ['Prefer: transaction=atomic']],
    ['I(4/10)', 'bytes 4-9/10', ['Prefer: transaction=atomic']],
    ['I(4/10)', 'bytes 0-9/10', []],
    ['C(10)', 'bytes 4-9/10', []],
    ['C(10)', 'bytes 0-19/20', []],
  ])('to %s of "%s" with %j, cut, changes nothing', async (given, range, fields) => {
    const path = await server.given(given)
    const before = await server.snapshot(path)
    const connection = await server.connect()
    const length = 'Content-Length: ' + lengthOf(range)

    connection.send(request('PUT', path, put(range, length, ...fields)), 'xyz').close()

    await connection.closed()
    await server.idle(path)
    expect(await server.snapshot(path)).toEqual(before)
  })
})

/** Bytes of `bytes 4-9/10`. */
function lengthOf(range: string): number {
  const [, first, last] = /(\d+)-(\d+)/.exec(range) ?? []
  return Number(last) - Number(first) + 1
}

describe.each(CORNERS)('a malformed partial PUT over $name', (combination) => {
  const server = useServer(combination)

  it.each<readonly [status: number, code: string, fields: readonly string[], data: string]>([
    [400, 'ERR_LENGTH', put('bytes 4-9/10'), 'efghi'],
    [400, 'ERR_LENGTH', put('bytes 4-9/10'), 'efghijk'],
    [400, 'ERR_LENGTH', put('bytes 4-9/10'), ''],
    [400, 'ERR_LENGTH', put('bytes 0-9/10'), 'abcd'],
    [400, 'ERR_LENGTH', put('bytes */10'), 'efghij'],
    [400, 'ERR_LENGTH', put('bytes 4-3/10'), 'e'],
    [400, 'ERR_RANGE', put('bytes 4-5/10, 6-7/10'), 'ef'],
    [400, 'ERR_RANGE', put('bytes 0-44/-1'), 'x'.repeat(45)],
    [400, 'ERR_RANGE', put('bytes 0--2/-1'), 'ef'],
    [400, 'ERR_RANGE', put('bytes 4-5'), 'ef'],
    [400, 'ERR_RANGE', put('bytes=4-5/10'), 'ef'],
    [400, 'ERR_RANGE', put('bytes 4-5/5'), 'ef'],
    [400, 'ERR_RANGE', put('bytes 5-4/3'), ''],
    [400, 'ERR_RANGE', put('bytes 4-9007199254740992/*'), 'ef'],
    [400, 'ERR_RANGE', put(''), 'ef'],
    [422, 'ERR_RANGE_UNIT', put('lines 4-5/10'), 'ef'],
    [415, 'ERR_MEDIA_TYPE', put('bytes 4-5/10', 'Content-Type: message/byteranges'), 'ef'],
    [415, 'ERR_CONTENT_CODING', put('bytes 4-5/10', 'Content-Encoding: gzip'), 'ef'],
    [400, 'ERR_FIELD', put('bytes 4-5/10', 'Content-Disposition: a b'), 'ef'],
    [400, 'ERR_FIELD', put('bytes 4-5/10', 'Content-Digest: x'), 'ef'],
    [400, 'ERR_CONTENT_DIGEST', put('bytes 4-5/10', contentDigest('xy')), 'ef'],
    [412, 'ERR_PRECONDITION', put('bytes 4-5/10', 'If-None-Match: *'), 'ef'],
    [400, 'ERR_LENGTH', put('bytes 4-5/10', 'If-None-Match: *'), 'efg'],
  ])('is answered %i %s: %j "%s"', async (status, code, fields, data) => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)

    const answer = await server.send('PUT', path, fields, data)

    expect(json(answer)).toMatchObject({ status, code })
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('names the range, and not the number of a part, in its detail', async () => {
    const path = await server.given('I(4/10)')

    const answer = await server.send('PUT', path, put('bytes 4-9/10'), 'efghi')

    expect(json(answer)).toMatchObject({
      detail: 'The data does not have the length of its range: 5 bytes of data for bytes 4-9',
    })
  })

  it.each([
    ['more', 'efghijk'],
    ['less', 'efg'],
  ])('in chunks with %s data than the range is refused', async (what, data) => {
    const path = await server.given('I(4/10)')

    const fields = put('bytes 4-9/10', CHUNKED)
    const answer = await server.send('PUT', path, fields, chunked(data.slice(0, 3), data.slice(3)))

    const kept = what === 'more' ? 'I(4/10)' : 'I(7/10)'
    expect(json(answer)).toMatchObject({ status: 400, code: 'ERR_LENGTH' })
    expect(await server.state(path)).toBe(kept)
  })
})

function contentDigest(data: string): string {
  return `Content-Digest: ${digest(data)}`
}

describe('two Content-Range fields', () => {
  const server = useServer(MEMORY)

  it.each(['bytes 4-5/10', 'bytes 6-7/10'])('are refused: %s', async (second) => {
    const path = await server.given('I(4/10)')
    const fields = put('bytes 4-5/10', `Content-Range: ${second}`)

    const answer = await server.send('PUT', path, fields, 'ef')

    expect([answer.status, await server.state(path)]).toEqual([400, 'I(4/10)'])
  })
})

describe('a partial PUT', () => {
  const created: NewResource[] = []
  const finished: FinishedResource[] = []
  const server = useServer(MEMORY, {
    maxSize: 100,
    onCreate: (_req, resource) => {
      created.push(resource)
      if (resource.name === 'no') throw new RefusedError(403, 'no')
    },
    onComplete: (_req, resource) => {
      finished.push(resource)
    },
  })

  it('calls the hooks as a PATCH does', async () => {
    const path = server.path()
    const fields = ['Content-Type: text/plain', 'Content-Disposition: attachment; filename="a.txt"']
    await server.send('PUT', path, put('bytes 0-3/10', ...fields), 'abcd')

    await server.send('PUT', path, put('bytes 4-9/10'), 'efghij')

    const description = { key: path.slice(7), contentType: 'text/plain', name: 'a.txt' }
    expect(created.splice(0)).toEqual([{ ...description, length: 10 }])
    expect(finished.splice(0)).toMatchObject([{ ...description, size: 10, previous: null }])
    expect(await server.snapshot(path)).toMatchObject({ contentType: 'text/plain' })
  })

  it.each(['bytes 0-9/10', 'bytes 0-3/10'])(
    'of "%s" answers 403 and stores nothing when onCreate refuses the name',
    async (range) => {
      const path = server.path()
      const fields = put(range, 'Content-Disposition: attachment; filename="no"')

      const answer = await server.send('PUT', path, fields, letters(lengthOf(range)))

      expect([answer.status, await server.state(path)]).toEqual([403, '∅'])
    },
  )

  it.each([
    ['bytes 0-3/101', 'abcd', 400],
    ['bytes */101', '', 400],
    ['bytes 98-101/*', 'abcd', 400],
    ['bytes 0-100/101', 'x'.repeat(101), 413],
  ])('of "%s" is refused, because the resource may have 100 bytes', async (range, data, status) => {
    const path = server.path()

    const answer = await server.send('PUT', path, put(range), data)

    expect([answer.status, await server.state(path)]).toEqual([status, '∅'])
  })

  it('verifies Content-Digest before it stores anything, and reports what was done', async () => {
    const path = await server.given('I(4/10)')
    const fields = [contentDigest('efg'), 'Prefer: transaction=atomic']

    const answer = await server.send('PUT', path, put('bytes 4-6/10', ...fields), 'efg')

    expect(field(answer, 'preference-applied')).toBe('transaction=atomic')
    expect([answer.status, await server.state(path)]).toEqual([202, 'I(7/10)'])
  })

  it('verifies the Repr-Digest of its first segment at the end', async () => {
    const path = server.path()
    const digest = contentDigest('abcdXXXXXX').replace('Content', 'Repr')
    await server.send('PUT', path, put('bytes 0-3/10', digest), 'abcd')

    const answer = await server.send('PUT', path, put('bytes 4-9/10'), 'efghij')

    expect(json(answer)).toMatchObject({ status: 409, code: 'ERR_REPR_DIGEST' })
    expect(await server.state(path)).toBe('∅')
  })

  it('is refused before its content when it does not fit', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connectSocket()
    const fields = put('bytes 6-9/10', 'Content-Length: 4', 'Expect: 100-continue')

    const answer = await connection.send(request('PUT', path, fields)).answer('PUT')

    expect(json(answer)).toMatchObject({ code: 'ERR_GAP', 'expected-offset': 4 })
    expect(connection.interim).toEqual([])
  })
})

describe('a partial PUT of a finished resource that must not change', () => {
  const server = useServer(MEMORY, { finished: 'immutable' })

  it.each([
    ['bytes 4-5/10', 'ef', 204],
    ['bytes 4-5/10', 'EF', 409],
    ['bytes */4', '', 409],
    ['bytes 10-11/12', 'kl', 409],
  ])('of "%s" "%s" is answered %i', async (range, data, status) => {
    const path = await server.given('C(10)')

    const answer = await server.send('PUT', path, put(range), data)

    expect([answer.status, await server.state(path)]).toEqual([status, 'C(10)'])
  })
})

describe.each(['seed', '2019-06', 'ietf'] as const)('a partial PUT with preset %s', (preset) => {
  const server = useServer(MEMORY, { preset })

  it('is answered as a PATCH is', async () => {
    const [path, patched] = [server.path(), server.path()]

    const answers = [
      await server.send('PUT', path, put('bytes 0-3/10'), 'abcd'),
      await server.send('PUT', path, put('bytes 4-9/10'), 'efghij'),
    ]
    const expected = [
      await server.patch(patched, 'bytes 0-3/10', 'abcd'),
      await server.patch(patched, 'bytes 4-9/10', 'efghij'),
    ]

    expect(answers.map(({ status }) => status)).toEqual(expected.map(({ status }) => status))
  })
})
