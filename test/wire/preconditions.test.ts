/** Preconditions of writes: every field on every state with every method. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, json, message } from '../support/wire/client.ts'
import { CORNERS, HTTP2, MEMORY, letters, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

const PAST = 'Sun, 06 Nov 1994 08:49:37 GMT'
const FUTURE = 'Tue, 01 Jan 2099 00:00:00 GMT'

/**
 * `ETAG` stands for the current entity tag with its quotes, `TAG` for it without, `DATE` for
 * Last-Modified.
 */
const FIELDS: readonly (readonly [
  fields: readonly string[],
  onNothing: boolean,
  onResource: boolean,
])[] = [
  [['If-Match: *'], false, true],
  [['If-Match: ETAG'], false, true],
  [['If-Match: "other"'], false, false],
  [['If-Match: ""'], false, false],
  [['If-Match: "other", ETAG'], false, true],
  [['If-Match: "a,b" ,, ETAG,"c"'], false, true],
  [['If-Match: "other"', 'If-Match: ETAG'], false, true],
  [['If-Match: W/ETAG'], false, false],
  [['If-Match: "*"'], false, false],
  [['If-Unmodified-Since: DATE'], true, true],
  [[`If-Unmodified-Since: ${FUTURE}`], true, true],
  [[`If-Unmodified-Since: ${PAST}`], true, false],
  [['If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT'], true, false],
  [['If-Unmodified-Since: Sun Nov  6 08:49:37 1994'], true, false],
  [['If-Unmodified-Since: 1994-11-06T08:49:37Z'], true, true],
  [['If-Unmodified-Since: yesterday'], true, true],
  [['If-Unmodified-Since: 0'], true, true],
  [[`If-Unmodified-Since: ${PAST}`, `If-Unmodified-Since: ${PAST}`], true, true],
  [['If-Match: ETAG', `If-Unmodified-Since: ${PAST}`], false, true],
  [['If-Match: "other"', `If-Unmodified-Since: ${FUTURE}`], false, false],
  [['If-None-Match: *'], true, false],
  [['If-None-Match: ETAG'], true, false],
  [['If-None-Match: W/ETAG'], true, false],
  [['If-None-Match: "other"'], true, true],
  [['If-None-Match: "other", ETAG'], true, false],
  [['If-None-Match: "other"', 'If-None-Match: W/"another"'], true, true],
  [['If-Match: ETAG', 'If-None-Match: *'], false, false],
  [['If-Match: *', 'If-None-Match: "other"'], false, true],
  [[`If-Unmodified-Since: ${FUTURE}`, 'If-None-Match: ETAG'], true, false],
  [[`If-Unmodified-Since: ${PAST}`, 'If-None-Match: "other"'], true, false],
  [[`If-Modified-Since: ${FUTURE}`], true, true],
  [[`If-Modified-Since: ${PAST}`], true, true],
  [['If-Range: "other"'], true, true],
]

const RANGES = new Map([
  ['∅', 'bytes 0-1/10'],
  ['I(4/10)', 'bytes 4-5/10'],
  ['C(10)', 'bytes 1-2/10'],
])

/** State → the status of a PATCH, a PUT and a DELETE whose preconditions are true. */
const SUCCESS: readonly (readonly [state: string, Readonly<Record<string, number>>])[] = [
  ['∅', { PATCH: 202, PUT: 201, DELETE: 404 }],
  ['I(4/10)', { PATCH: 202, PUT: 201, DELETE: 204 }],
  ['C(10)', { PATCH: 204, PUT: 204, DELETE: 204 }],
]

const ROWS = SUCCESS.flatMap(([state, statuses]) =>
  Object.entries(statuses).flatMap(([method, success]) =>
    FIELDS.map(([fields, onNothing, onResource]) => {
      const isTrue = state === '∅' ? onNothing : onResource
      return [method, state, fields.join(' | '), isTrue ? success : 412] as const
    }),
  ),
)

describe.each(CORNERS)('over $name', (combination) => {
  const server = useServer(combination)
  // Node's client for HTTP/2 sends one line of each of these fields.
  const rows = combination === HTTP2 ? ROWS.filter(([, , text]) => !text.includes(' | ')) : ROWS

  it.each(rows)('%s of %s with %s is answered %i', async (method, state, text, status) => {
    const path = await server.given(state)
    const before = await server.snapshot(path)
    const fields = text.split(' | ').map((line) => fill(line, before))

    const answer = await write(server, method, path, state, fields)

    // A DELETE of an absent resource fails in any case, so that either status is right.
    const alternatives = method === 'DELETE' && state === '∅' ? [404, 412] : [status]
    expect(alternatives).toContain(answer.status)
    if (answer.status < 400) return
    expect(await server.snapshot(path)).toEqual(before)
    if (answer.status !== 412 || state === '∅') return
    expect(field(answer, 'etag')).toBe(before.etag)
    expect(field(answer, 'last-modified')).toBe(before.lastModified)
    expect(json(answer)).toMatchObject({
      status: 412,
      received: state === 'C(10)' ? 10 : 4,
      length: 10,
      complete: state === 'C(10)',
    })
  })

  it.each(['C(10)', 'I(4/10)'])('an unquoted tag never matches %s', async (state) => {
    const path = await server.given(state)
    const tag = (await server.etag(path)).slice(1, -1)

    const answer = await write(server, 'PATCH', path, state, [`If-Match: ${tag}`])

    expect([400, 412]).toContain(answer.status)
  })
})

describe('a precondition', () => {
  const server = useServer(MEMORY)

  it('is false once another client has written', async () => {
    const path = await server.given('I(4/10)')
    const stale = await server.etag(path)
    await server.patch(path, 'bytes 4-5/10', 'EF')

    const answer = await server.patch(path, 'bytes 6-7/10', 'GH', `If-Match: ${stale}`)

    expect(answer.status).toBe(412)
    expect(await server.state(path)).toBe('I(6/10)')
  })

  it('is true of the entity tag that the last segment was answered with', async () => {
    const path = server.path()

    let answer = await server.patch(path, 'bytes 0-3/8', letters(4))
    for (const [range, data] of [
      ['bytes 4-5/8', 'ef'],
      ['bytes 6-7/8', 'gh'],
    ] as const) {
      answer = await server.patch(path, range, data, `If-Match: ${field(answer, 'etag')}`)
    }

    expect(answer.status).toBe(201)
    expect(field(answer, 'etag')).toBe(await server.etag(path))
  })

  it('shows a client that lost the first answer where to resume', async () => {
    const path = await server.given('I(4/*)')

    const answer = await server.patch(path, 'bytes 0-3/*', letters(4), 'If-None-Match: *')

    expect(answer.status).toBe(412)
    expect(json(answer)).toMatchObject({ received: 4, length: null, complete: false })
  })
})

function fill(
  line: string,
  { etag, lastModified }: { etag: string | null; lastModified: string | null },
) {
  const date = lastModified ?? FUTURE
  return line.replaceAll('ETAG', etag ?? '"nothing"').replaceAll('DATE', date)
}

async function write(
  server: TestServer,
  method: string,
  path: string,
  state: string,
  fields: readonly string[],
) {
  if (method === 'DELETE') return server.send('DELETE', path, fields)
  if (method === 'PUT') return server.send('PUT', path, fields, 'new')
  const body = message(RANGES.get(state) ?? '', 'XY')
  return server.send('PATCH', path, [MESSAGE, ...fields], body)
}
