/** Conditional GET, If-Range, and several ranges in one answer. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, message } from '../support/wire/client.ts'
import type { Answer } from '../support/wire/client.ts'
import { BOTH, CORNERS, MEMORY, letters, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

const PAST = 'Sun, 06 Nov 1994 08:49:37 GMT'
const FUTURE = 'Tue, 01 Jan 2099 00:00:00 GMT'

/** `ETAG` and `DATE` stand for the current validators. Status 0: as without the fields. */
const CONDITIONS: readonly (readonly [fields: readonly string[], status: number])[] = [
  [['If-None-Match: ETAG'], 304],
  [['If-None-Match: W/ETAG'], 304],
  [['If-None-Match: *'], 304],
  [['If-None-Match: "other", ETAG'], 304],
  [['If-None-Match: "other"'], 0],
  [['If-Modified-Since: DATE'], 304],
  [[`If-Modified-Since: ${FUTURE}`], 304],
  [[`If-Modified-Since: ${PAST}`], 0],
  [['If-Modified-Since: never'], 0],
  [['If-None-Match: "other"', 'If-Modified-Since: DATE'], 0],
  [['If-None-Match: ETAG', `If-Modified-Since: ${PAST}`], 304],
  [['If-Match: ETAG'], 0],
  [['If-Match: *'], 0],
  [['If-Match: W/ETAG'], 412],
  [['If-Match: "other"'], 412],
  [['If-Unmodified-Since: DATE'], 0],
  [[`If-Unmodified-Since: ${PAST}`], 412],
  [['If-Match: "other"', 'If-None-Match: ETAG'], 412],
  [['If-None-Match: ETAG', 'Range: bytes=0-1'], 304],
  [['If-Match: "other"', 'Range: bytes=0-1'], 412],
  [['If-Match: "other"', 'Range: bytes=99-'], 412],
]

const ROWS = ['GET', 'HEAD'].flatMap((method) =>
  ['I(4/10)', 'C(10)'].flatMap((given) =>
    CONDITIONS.map(([fields, status]) => [method, given, fields.join(' | '), status] as const),
  ),
)

describe.each(CORNERS)('over $name', (combination) => {
  const server = useServer(combination)

  it.each(ROWS)('%s of %s with %s is answered %i', async (method, given, text, status) => {
    const path = await server.given(given)
    const whole = await server.send(method, path)

    const answer = await server.send(method, path, fill(text, whole))

    // An incomplete resource may be sent again where it could be 304.
    const isRepeated = given === 'I(4/10)' && status === 304 && answer.status === 299
    expect(answer.status).toBe(isRepeated ? 299 : status || whole.status)
    if (answer.status !== 304) return
    expect(answer.body).toHaveLength(0)
    for (const name of ['etag', 'last-modified', 'accept-ranges', 'x-content-type-options']) {
      expect(field(answer, name)).toBe(field(whole, name))
    }
  })

  it.each(['If-Match: *', 'If-None-Match: *', 'If-Match: "x"'])(
    'GET of nothing with %s is answered 404',
    async (line) => {
      expect((await server.send('GET', server.path(), [line])).status).toBe(404)
    },
  )

  it.each([
    ['ETAG', 206],
    ['W/ETAG', 200],
    ['"other"', 200],
    ['"', 200],
    ['*', 200],
    ['"other", ETAG', 200],
    [PAST, 200],
    [FUTURE, 200],
  ])('GET with Range and If-Range: %s is answered %i', async (value, status) => {
    for (const given of ['C(10)', 'I(4/10)']) {
      const path = await server.given(given)
      const whole = await server.send('GET', path)

      const fields = ['Range: bytes=0-1', ...fill(`If-Range: ${value}`, whole)]
      const answer = await server.send('GET', path, fields)

      expect(answer.status).toBe(status === 200 ? whole.status : status)
      expect(answer.body.toString()).toBe(letters(status === 206 ? 2 : whole.body.length))
    }
  })

  it('GET with an unsatisfiable Range and a false If-Range gives the whole', async () => {
    const path = await server.given('C(10)')

    const answer = await server.send('GET', path, ['Range: bytes=99-', 'If-Range: "other"'])

    expect([answer.status, answer.body.toString()]).toEqual([200, letters(10)])
  })

  it('several ranges of a finished resource come as parts, each with its range', async () => {
    const { path, bytes } = await givenText(server)

    const answer = await server.send('GET', path, ['Range: bytes=0-1,5-8,-3'])

    expect(answer.status).toBe(206)
    expect(field(answer, 'content-range')).toBeNull()
    expect(field(answer, 'content-length')).toBe(String(answer.body.length))
    expect(partsOf(answer)).toEqual([
      { range: 'bytes 0-1/1000', type: 'text/plain', data: bytes.slice(0, 2) },
      { range: 'bytes 5-8/1000', type: 'text/plain', data: bytes.slice(5, 9) },
      { range: 'bytes 997-999/1000', type: 'text/plain', data: bytes.slice(997) },
    ])
  })

  it('several ranges of which one can be satisfied come without the others', async () => {
    const { path, bytes } = await givenText(server)

    const answer = await server.send('GET', path, ['Range: bytes=2000-,3-4,1000-1001'])

    expect(answer.status).toBe(206)
    expect(answer.body.toString()).toContain(bytes.slice(3, 5))
  })

  it('several ranges, sent back as a PATCH, write the same bytes', async () => {
    const { path, bytes } = await givenText(server)
    const target = server.path()
    await server.send('PATCH', target, [MESSAGE], textPatch('-'.repeat(1000)))

    const answer = await server.send('GET', path, ['Range: bytes=10-19,100-299,-10'])
    const fields = [`Content-Type: ${field(answer, 'content-type')}`]
    const patched = await server.send('PATCH', target, fields, answer.body)

    const expected =
      '-'.repeat(10) +
      bytes.slice(10, 20) +
      '-'.repeat(80) +
      bytes.slice(100, 300) +
      '-'.repeat(690) +
      bytes.slice(990)
    expect(patched.status).toBe(204)
    expect((await server.send('GET', target)).body.toString()).toBe(expected)
  })
})

describe('too many ranges', () => {
  const server = useServer(MEMORY, { maxRanges: 3 })

  it.each([
    ['more than maxRanges', 'bytes=0-0,2-2,4-4,6-6'],
    ['many that overlap', `bytes=${Array.from({ length: 500 }, () => '0-').join()}`],
    ['some that overlap', 'bytes=0-900,1-901,2-902'],
  ])('send no more bytes than the whole: %s', async (_what, range) => {
    const { path } = await givenText(server)

    const answer = await server.send('GET', path, [`Range: ${range}`])

    expect([200, 206, 416]).toContain(answer.status)
    expect(answer.body.length).toBeLessThan(1200)
  })

  it('are served when they are as many as maxRanges', async () => {
    const { path } = await givenText(server)

    const answer = await server.send('GET', path, ['Range: bytes=0-0,2-2,4-4'])

    expect(answer.status).toBe(206)
  })
})

describe.each(BOTH)('If-Range with a date over $name', (combination) => {
  const server = useServer(combination)

  it('is true of a Last-Modified that is a second old', async () => {
    const path = await server.given('C(10)')
    await expect.poll(async () => age(server, path)).toBeGreaterThanOrEqual(1000)
    const whole = await server.send('GET', path)

    const fields = ['Range: bytes=0-1', ...fill('If-Range: DATE', whole)]
    const answer = await server.send('GET', path, fields)

    expect([answer.status, answer.body.toString()]).toEqual([206, 'ab'])
  })
})

async function age(server: TestServer, path: string): Promise<number> {
  const head = await server.head(path)
  return Date.parse(field(head, 'date') ?? '') - Date.parse(field(head, 'last-modified') ?? '')
}

/** 1000 digits as text/plain. */
async function givenText(server: TestServer) {
  const path = server.path()
  const bytes = '0123456789'.repeat(100)
  await server.send('PATCH', path, [MESSAGE], textPatch(bytes))
  return { path, bytes }
}

function textPatch(bytes: string): string {
  return `Content-Type: text/plain\r\n${message('bytes 0-999/1000', bytes).toString()}`
}

function fill(text: string, whole: Answer): string[] {
  const tag = field(whole, 'etag') ?? ''
  const date = field(whole, 'last-modified') ?? ''
  return text.split(' | ').map((line) => line.replaceAll('ETAG', tag).replaceAll('DATE', date))
}

/** The parts of a 206. The boundary is found as a client finds it. */
function partsOf(answer: Answer) {
  const type = field(answer, 'content-type') ?? ''
  const boundary = /^multipart\/byteranges; ?boundary="?([^"]+)"?$/.exec(type)?.[1] ?? '?'
  const pieces = `\r\n${answer.body.toString()}`.split(`\r\n--${boundary}`)
  expect(pieces.at(0)).toMatch(/^(?:\r\n)?$/)
  expect(pieces.at(-1)).toMatch(/^--(?:\r\n)?$/)
  return pieces.slice(1, -1).map((piece) => {
    const end = piece.indexOf('\r\n\r\n')
    const line = (name: RegExp) => name.exec(piece.slice(0, end))?.[1]
    return {
      range: line(/\r\ncontent-range: (.+)/i),
      type: line(/\r\ncontent-type: (.+)/i),
      data: piece.slice(end + 4),
    }
  })
}
