/**
 * The exact requests of clients that exist: the draft author's browser demo and his Node client.
 */
import { describe, expect, it } from 'vitest'

import { field, request } from '../support/wire/client.ts'
import { EXPRESSES, letters, useServer } from '../support/wire/server.ts'
import type { TestServer } from '../support/wire/server.ts'

/** The fields that a browser adds to `fetch`. */
const BROWSER = [
  'Connection: keep-alive',
  'Origin: http://127.0.0.1:18999',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64)',
  'Accept: */*',
  'Accept-Encoding: gzip, deflate, br',
  'Accept-Language: en',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: cors',
  'Sec-Fetch-Dest: empty',
]

/** `client.xhtml`: 64-byte segments of the whole document, statuses ignored. */
async function saveInSegments(server: TestServer, path: string, text: string): Promise<number[]> {
  const statuses: number[] = []
  for (let start = 0; start < text.length; start += 64) {
    const data = text.slice(start, start + 64)
    const range = `bytes ${start}-${start + data.length - 1}/${text.length}`
    const body = `Content-Range: ${range}\r\nContent-Length: ${data.length}\r\n\r\n${data}`
    const fields = ['Content-Type: message/byterange', ...BROWSER]
    statuses.push((await server.send('PATCH', path, fields, body)).status)
  }
  return statuses
}

/** `client.xhtml`: one changed run per request. */
async function saveRun(server: TestServer, path: string, range: string, data: string) {
  const body = `Content-Range: bytes ${range}\r\nContent-Length: ${data.length}\r\n\r\n${data}`
  return server.send('PATCH', path, ['Content-Type: message/byterange', ...BROWSER], body)
}

describe.each(EXPRESSES)('the browser demo over $name', (combination) => {
  const server = useServer(combination)

  it('loads a document that does not exist as an empty one', async () => {
    const answer = await server.send('GET', server.path(), BROWSER)

    expect(answer.status).toBe(404)
    expect([answer.body.length, field(answer, 'content-length')]).toEqual([0, '0'])
  })

  it('saves a document with PUT', async () => {
    const path = server.path()
    const fields = ['Content-Type: application/octet-stream', ...BROWSER]

    const first = await server.send('PUT', path, fields, letters(150))
    const second = await server.send('PUT', path, fields, letters(120))

    expect([first.status, second.status]).toEqual([201, 204])
    expect((await server.send('GET', path, BROWSER)).body.toString()).toBe(letters(120))
  })

  it('saves a new document in segments', async () => {
    const path = server.path()

    const statuses = await saveInSegments(server, path, letters(150))

    expect(statuses).toEqual([202, 202, 201])
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(150)', bytes: letters(150) })
  })

  it('saves a changed and longer document over the old one', async () => {
    const path = server.path()
    await saveInSegments(server, path, letters(150))
    const text = letters(200).toUpperCase()

    const statuses = await saveInSegments(server, path, text)

    expect(statuses).toEqual([202, 202, 202, 204])
    expect(await server.snapshot(path)).toMatchObject({ state: 'C(200)', bytes: text })
  })

  it('cannot shorten a document in segments, and leaves it unchanged', async () => {
    const path = server.path()
    await saveInSegments(server, path, letters(150))

    const statuses = await saveInSegments(server, path, letters(100).toUpperCase())

    expect(statuses).toEqual([409, 409])
    expect((await server.snapshot(path)).bytes).toBe(letters(150))
  })

  it('saves the differences, the first of which reports the new length', async () => {
    const path = await server.given('C(32)')

    const first = await saveRun(server, path, '2-2/34', 'X')
    const second = await saveRun(server, path, '32-33/34', 'YZ')

    expect([first.status, second.status]).toEqual([202, 204])
    expect((await server.snapshot(path)).bytes).toBe(`abX${letters(32).slice(3)}YZ`)
  })

  it('is refused a difference to a shorter document', async () => {
    const path = await server.given('C(16)')

    const answer = await saveRun(server, path, '3-3/12', 'X')

    expect([answer.status, await server.state(path)]).toEqual([409, 'C(16)'])
  })

  it('saves the differences in a multipart without a boundary parameter', async () => {
    const path = await server.given('C(32)')
    const body =
      '--BV4I7CIzc34\r\nContent-Range: bytes 2-2/34\r\nContent-Length: 1\r\n\r\nX\r\n' +
      '--BV4I7CIzc34\r\nContent-Range: bytes 32-33/34\r\nContent-Length: 2\r\n\r\nYZ\r\n' +
      '--BV4I7CIzc34--\r\n'

    const fields = ['Content-Type: multipart/byteranges', ...BROWSER]
    const answer = await server.send('PATCH', path, fields, body)

    expect(answer.status).toBe(204)
    expect((await server.snapshot(path)).bytes).toBe(`abX${letters(32).slice(3)}YZ`)
  })

  it('reads from OPTIONS which formats it can send', async () => {
    const answer = await server.send('OPTIONS', server.path(), BROWSER)

    expect(field(answer, 'allow')).toContain('PATCH')
  })
})

const TOTAL = 3000

/** `client-lib.js` after its connection died: HEAD, then the rest. */
async function ask(server: TestServer, path: string): Promise<string | null> {
  const answer = await server.send('HEAD', path, ['Connection: keep-alive'])
  return field(answer, 'content-length')
}

function rest(path: string, offset: number, type: string): Buffer {
  const data = letters(TOTAL).slice(offset)
  const range = `${offset}-${TOTAL - 1}/${TOTAL}`
  const lines = [`Content-Range: ${range}`, `Content-Length: ${data.length}`]
  if (type === 'message/byteranges') lines.reverse()
  const fields = [
    `Content-Type: ${type}`,
    `REM-patch-range: ${range}`,
    `REM-patch-length: ${data.length}`,
    'Connection: keep-alive',
  ]
  return request('PATCH', path, fields, `${lines.join('\r\n')}\r\n\r\n${data}`)
}

describe.each(EXPRESSES)('the Node client over $name', (combination) => {
  const server = useServer(combination)

  it.each(['message/byterange', 'message/byteranges'])('resumes with %s', async (type) => {
    const path = server.path()
    const offsets = [await ask(server, path)]
    const dying = await server.connect()
    dying.send(rest(path, 0, type).subarray(0, 1200))
    await expectProgress(server, path)
    dying.close()
    await server.idle(path)

    const offset = Number(await ask(server, path))
    offsets.push(String(offset))
    const connection = await server.connect()
    const answer = await connection.send(rest(path, offset, type)).answer()

    expect(offsets).toEqual(['0', expect.stringMatching(/^[1-9]\d*$/)])
    expect(answer.status).toBe(201)
    expect((await server.snapshot(path)).bytes).toBe(letters(TOTAL))
  })

  it('may send the empty range of an upload that has ended', async () => {
    const path = await server.given(`C(${TOTAL})`)
    const connection = await server.connect()

    const answer = await connection.send(rest(path, TOTAL, 'message/byterange')).answer()

    expect(answer.status).toBe(204)
    expect(await ask(server, path)).toBe(String(TOTAL))
  })

  it('is refused its own resumption protocol', async () => {
    const connection = await server.connect()
    const fields = ['Content-Length: 300000', 'Prefer: resume', 'Expect: 100-continue']

    const answer = await connection.send(request('POST', server.path(), fields)).answer()

    expect(answer.status).toBe(405)
    expect(connection.interim).toEqual([])
  })
})

describe.each(EXPRESSES)(
  'a client over $name that mistakes the request for the patch',
  (combination) => {
    const server = useServer(combination)

    it('is refused', async () => {
      const path = await server.given('I(4/10)')

      const fields = ['Content-Type: message/byterange', 'Content-Range: bytes 4-5/10']
      const answer = await server.send('PATCH', path, fields, 'RUY=')

      expect([answer.status, await server.state(path)]).toEqual([400, 'I(4/10)'])
    })
  },
)

/** Waits until some of the data has arrived. */
async function expectProgress(server: TestServer, path: string): Promise<void> {
  await expect.poll(async () => (await server.head(path)).status, { timeout: 20_000 }).toBe(299)
}
