/** DELETE, OPTIONS, and methods that no resource has. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, message } from '../support/wire/client.ts'
import { EXPRESSES, MEMORY, useServer } from '../support/wire/server.ts'

const ALLOW = 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS'

describe.each(EXPRESSES)('over $name', (combination) => {
  const server = useServer(combination)

  it.each([
    ['∅', 404],
    ['I(4/10)', 204],
    ['I(0/10)', 204],
    ['I(4/*)', 204],
    ['C(10)', 204],
    ['C(0)', 204],
  ])('DELETE of %s is answered %i, and 404 when it is repeated', async (given, status) => {
    const path = await server.given(given)

    const first = await server.send('DELETE', path)
    const then = await server.state(path)
    const second = await server.send('DELETE', path)

    expect([first.status, then, second.status]).toEqual([status, '∅', 404])
  })

  it('DELETE leaves room for a new resource', async () => {
    const path = await server.given('I(4/10)')
    const before = await server.snapshot(path)
    await server.send('DELETE', path)

    const answer = await server.patch(path, 'bytes 0-3/10', 'abcd', 'If-None-Match: *')

    const after = await server.snapshot(path)
    expect(answer.status).toBe(202)
    expect(after).toMatchObject({ state: 'I(4/10)', bytes: 'abcd' })
    expect(after.etag).not.toBe(before.etag)
  })

  it('DELETE drains its content', async () => {
    const path = await server.given('C(10)')
    const connection = await server.connect()
    const content = 'x'.repeat(100_000)

    connection.send(`DELETE ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n`)
    connection.send(content, `HEAD ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)

    expect((await connection.answer()).status).toBe(204)
    const next = await connection.answerOrClose('HEAD')
    expect([undefined, 404]).toContain(next?.status)
  })

  it.each(['∅', 'I(4/10)', 'C(10)'])('OPTIONS of %s lists the methods', async (given) => {
    const path = await server.given(given)

    const answer = await server.send('OPTIONS', path, ['If-Match: "other"', 'If-None-Match: *'])

    const types = (field(answer, 'accept-patch') ?? '').split(/, ?/)
    expect([200, 204]).toContain(answer.status)
    expect(answer.body).toHaveLength(0)
    expect(field(answer, 'content-length')).toBe(answer.status === 200 ? '0' : null)
    expect(field(answer, 'allow')).toBe(ALLOW)
    expect(field(answer, 'accept-ranges')).toBe('bytes')
    expect(types[0]).toBe('message/byteranges')
    expect(types).toEqual(expect.arrayContaining(['message/byterange', 'multipart/byteranges']))
  })

  it('OPTIONS of a CORS preflight is left to the app, or answered with success', async () => {
    const fields = ['Origin: http://a.test', 'Access-Control-Request-Method: PATCH']

    const answer = await server.send('OPTIONS', server.path(), fields)

    if (field(answer, 'x-passed-on') === null) expect([200, 204]).toContain(answer.status)
  })

  it.each(['POST', 'PROPFIND', 'MKCOL', 'LOCK', 'MOVE'])('%s is answered 405', async (method) => {
    const path = await server.given('C(10)')
    const before = await server.snapshot(path)

    const answer = await server.send(method, path, [MESSAGE], message('bytes 0-0/10', 'A'))

    expect([answer.status, field(answer, 'allow')]).toEqual([405, ALLOW])
    expect(await server.snapshot(path)).toEqual(before)
  })

  it('a method in lower case is answered 400', async () => {
    const path = await server.given('I(4/10)')

    const answer = await server.send('patch', path, [MESSAGE], message('bytes 4-5/10', 'EF'))

    expect([answer.status, await server.state(path)]).toEqual([400, 'I(4/10)'])
  })
})

describe('an app with CORS before the middleware', () => {
  const server = useServer(MEMORY, {}, [
    (req, res, next) => {
      res.set('Access-Control-Allow-Origin', '*')
      if (req.method === 'OPTIONS' && req.get('Access-Control-Request-Method')) {
        res.set('Access-Control-Allow-Methods', 'PATCH').status(204).end()
      } else next()
    },
  ])

  it('keeps its fields on every answer', async () => {
    const path = server.path()

    const answers = [
      await server.patch(path, 'bytes 0-3/8', 'abcd'),
      await server.head(path),
      await server.patch(path, 'bytes 6-7/8', 'gh'),
      await server.send('DELETE', path),
      await server.send('GET', path),
    ]

    expect(answers.map((answer) => answer.status)).toEqual([202, 299, 409, 204, 404])
    for (const answer of answers) expect(field(answer, 'access-control-allow-origin')).toBe('*')
  })
})
