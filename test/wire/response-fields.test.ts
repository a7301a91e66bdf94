/** The fields of each answer, and the shape of problem documents. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, field, json, message, request } from '../support/wire/client.ts'
import type { Answer } from '../support/wire/client.ts'
import { EXPRESSES, FS, MEMORY, letters, useServer } from '../support/wire/server.ts'

const STRONG_TAG = /^"[\x21\x23-\x7e]+"$/

describe.each(EXPRESSES)('over $name', (combination) => {
  const server = useServer(combination)

  it('202 reports the validators and, in JSON, how far the upload is', async () => {
    const answer = await server.patch(server.path(), 'bytes 0-3/10', letters(4))

    expect([answer.status, answer.reason]).toEqual([202, 'Accepted'])
    expectValidators(answer)
    expect(field(answer, 'cache-control')).toBe('no-store')
    expect(field(answer, 'content-type')).toMatch(/^application\/json\b/)
    expect(json(answer)).toMatchObject({ received: 4, length: 10, complete: false })
  })

  it('202 reports null for a total that no client has announced', async () => {
    const answer = await server.patch(server.path(), 'bytes 0-3/*', letters(4))

    expect(json(answer)).toMatchObject({ received: 4, length: null, complete: false })
  })

  it('201 reports the validators', async () => {
    const answer = await server.patch(server.path(), 'bytes 0-3/4', letters(4))

    expect(answer.status).toBe(201)
    expectValidators(answer)
  })

  it('204 reports the validators and no Content-Length', async () => {
    const path = await server.given('C(4)')

    const answer = await server.patch(path, 'bytes 0-0/4', 'A')

    expect(answer.status).toBe(204)
    expectValidators(answer)
    expect(field(answer, 'content-length')).toBeNull()
  })

  it.each(['HEAD', 'GET'])('299 to %s has the received and the complete length', async (method) => {
    const path = await server.given('I(4/10)')

    const answer = await server.send(method, path)

    expect([answer.status, answer.reason]).toEqual([299, 'Incomplete Content'])
    expectRepresentation(answer)
    expect(field(answer, 'content-length')).toBe('4')
    expect(field(answer, 'content-range')).toBe('bytes 0-3/10')
    expect(field(answer, 'cache-control')).toMatch(/no-store/)
    expect(field(answer, 'cache-control')).toMatch(/no-transform/)
  })

  it.each([
    ['I(4/*)', '4', 'bytes 0-3/*'],
    ['I(0/10)', '0', 'bytes */10'],
  ])('299 of %s has Content-Length %s and Content-Range "%s"', async (given, length, range) => {
    const path = await server.given(given)

    const answer = await server.head(path)

    expect(answer.status).toBe(299)
    expect([field(answer, 'content-length'), field(answer, 'content-range')]).toEqual([
      length,
      range,
    ])
  })

  it.each(['HEAD', 'GET'])('200 to %s has no Content-Range', async (method) => {
    const path = await server.given('C(10)')

    const answer = await server.send(method, path)

    expect(answer.status).toBe(200)
    expectRepresentation(answer)
    expect(field(answer, 'content-length')).toBe('10')
    expect(field(answer, 'content-range')).toBeNull()
  })

  it.each(['∅', 'I(4/10)', 'C(10)', 'C(0)'])('HEAD of %s has the fields of GET', async (given) => {
    const path = await server.given(given)

    const head = await server.send('HEAD', path)
    const get = await server.send('GET', path)

    const fieldsOf = (answer: Answer) =>
      answer.fields.filter(([name]) => name.toLowerCase() !== 'date').map((line) => line.join(': '))
    expect([head.status, fieldsOf(head)]).toEqual([get.status, fieldsOf(get)])
    expect(field(get, 'content-length')).toBe(String(get.body.length))
  })

  it.each(['HEAD', 'GET'])('404 to %s is empty, with Content-Length 0', async (method) => {
    const answer = await server.send(method, server.path())

    expect(answer.status).toBe(404)
    expect(field(answer, 'content-length')).toBe('0')
    expect(answer.body).toHaveLength(0)
  })

  it('404 to PATCH and DELETE is a problem document', async () => {
    const answers = [
      await server.patch(server.path(), 'bytes 4-9/10', 'efghij'),
      await server.send('DELETE', server.path()),
    ]

    for (const answer of answers) {
      expect(field(answer, 'content-type')).toBe('application/problem+json')
      expect(json(answer)).toMatchObject({ status: 404, code: 'ERR_NOT_FOUND' })
    }
  })

  it('405 reports what is allowed', async () => {
    const answer = await server.send('POST', server.path())

    expect(answer.status).toBe(405)
    expect(field(answer, 'allow')).toBe('GET, HEAD, PUT, PATCH, DELETE, OPTIONS')
  })

  it('gives the last write, HEAD, GET and 304 one entity tag', async () => {
    const path = server.path()
    for (const range of ['bytes 0-3/8', 'bytes 4-7/8']) {
      const write = await server.patch(path, range, 'abcd')
      const tag = field(write, 'etag')

      const head = await server.head(path)
      const get = await server.send('GET', path)
      const match = await server.send('GET', path, [`If-None-Match: ${tag}`])

      expect([head, get, match].map((answer) => field(answer, 'etag'))).toEqual([tag, tag, tag])
      expect(match.status).toBe(304)
    }
  })

  it('never gives two versions one entity tag', async () => {
    const path = server.path()
    const tags: (string | null)[] = []
    for (const [range, data] of [
      ['bytes 0-3/*', 'abcd'],
      ['bytes 0-3/8', 'abcd'],
      ['bytes 4-5/8', 'ef'],
      ['bytes 4-5/8', 'EF'],
      ['bytes 4-5/8', 'ef'],
      ['bytes 6-7/8', 'gh'],
      ['bytes 0-0/8', 'A'],
      ['bytes 0-0/8', 'a'],
    ] as const) {
      await server.patch(path, range, data)
      tags.push(await server.etag(path))
    }
    await server.send('DELETE', path)
    await server.patch(path, 'bytes 0-7/8', 'abcdefgh')
    tags.push(await server.etag(path))
    await server.send('PUT', path, [], 'abcdefg!')
    tags.push(await server.etag(path))

    expect(new Set(tags).size).toBe(10)
  })
})

describe('an answer with a stored file', () => {
  const server = useServer(FS)
  const own = useServer(MEMORY, { contentSecurityPolicy: "default-src 'none'; sandbox" })
  const none = useServer(MEMORY, { contentSecurityPolicy: '' })
  const helmet = useServer(MEMORY, {}, [
    (_req, res, next) => {
      res.set('Content-Security-Policy', "script-src 'self'")
      res.set('Content-Disposition', 'attachment; filename="of the app"')
      next()
    },
  ])

  it.each([
    ['GET', 'I(4/10)', []],
    ['HEAD', 'I(4/10)', []],
    ['GET', 'C(10)', []],
    ['HEAD', 'C(10)', []],
    ['GET', 'C(10)', ['Range: bytes=1-2']],
    ['GET', 'C(10)', ['Range: bytes=1-2, 5-6']],
  ])('to %s of %s with %j runs no scripts', async (method, state, fields) => {
    const answer = await server.send(method, await server.given(state), fields)

    expect(answer.status).toBeLessThan(300)
    expect(field(answer, 'content-security-policy')).toBe('sandbox')
    expect(field(answer, 'x-content-type-options')).toBe('nosniff')
    expect(field(answer, 'content-disposition')).toBeNull()
  })

  it('has the policy of the option', async () => {
    const answer = await own.send('GET', await own.given('C(10)'))

    expect(field(answer, 'content-security-policy')).toBe("default-src 'none'; sandbox")
  })

  it('has no policy where the app wants none', async () => {
    const answer = await none.send('GET', await none.given('C(10)'))

    expect(field(answer, 'content-security-policy')).toBeNull()
  })

  it('keeps the policy that the app has set before', async () => {
    const answer = await helmet.send('GET', await helmet.given('C(10)'))

    expect(field(answer, 'content-security-policy')).toBe("script-src 'self', sandbox")
    expect(field(answer, 'content-disposition')).toBe('attachment; filename="of the app"')
  })
})

describe.each([MEMORY, FS])('an upload that expires, over $name', (combination) => {
  const server = useServer(combination, { expireAfter: 3_600_000 })
  const soon = useServer(combination, { expireAfter: 300 })

  it('reports when it is removed', async () => {
    const path = server.path()

    const segment = await server.patch(path, 'bytes 0-3/10', letters(4))
    const answers = [await server.head(path), await server.send('GET', path)]

    for (const answer of [segment, ...answers]) {
      expect(field(answer, 'upload-limit')).toMatch(/^max-age=3(?:600|59\d)$/)
    }
  })

  it('reports nothing once it is finished', async () => {
    const path = server.path()

    const final = await server.patch(path, 'bytes 0-3/4', letters(4))

    expect(field(final, 'upload-limit')).toBeNull()
    expect(field(await server.head(path), 'upload-limit')).toBeNull()
  })

  it('is removed, and a finished one is not', async () => {
    const finished = await soon.given('C(10)')
    const path = soon.path()
    await soon.patch(path, 'bytes 0-3/10', letters(4))

    await soon.becomes(path, '∅')

    expect(await soon.state(finished)).toBe('C(10)')
  })
})

describe('an answer to content that is too large', () => {
  const server = useServer(FS, { maxSize: 100_000, maxParts: 8 })

  it('closes the connection', async () => {
    const connection = await server.connect()
    const fields = [MESSAGE, 'Content-Length: 200000']

    connection.send(request('PATCH', server.path(), fields))

    const answer = await connection.answer()
    expect(answer.status).toBe(413)
    expect(field(answer, 'connection')).toBe('close')
    expectProblem(answer)
    await connection.closed()
  })
})

describe('the answer of a busy process', () => {
  const untilNextSecond = () => {
    const second = Math.floor(Date.now() / 1000)
    while (Math.floor(Date.now() / 1000) === second);
  }
  const server = useServer(MEMORY, {}, [
    (req, _res, next) => {
      if (req.method === 'PATCH') untilNextSecond()
      next()
    },
  ])

  it('has no Last-Modified later than its Date, which Node caches for a second', async () => {
    await server.head(server.path())

    const answer = await server.patch(server.path(), 'bytes 0-3/4', 'abcd')

    expectValidators(answer)
  })
})

describe('a problem document', () => {
  const server = useServer(FS)

  it.each<readonly [string, string, string, readonly string[], string, number]>([
    ['PATCH', '∅', 'a malformed range', [MESSAGE], 'Content-Range: x\r\n\r\n', 400],
    ['PATCH', '∅', 'no resource', [MESSAGE], message('bytes 1-1/2', 'b').toString(), 404],
    ['PATCH', 'I(4/10)', 'a gap', [MESSAGE], message('bytes 5-5/10', 'f').toString(), 409],
    ['PATCH', 'C(10)', 'a false precondition', [MESSAGE, 'If-None-Match: *'], '', 412],
    ['PATCH', '∅', 'another type', ['Content-Type: text/plain'], 'abc', 415],
    ['PATCH', '∅', 'a coding', [MESSAGE, 'Content-Encoding: br'], 'abc', 415],
    ['PATCH', '∅', 'another unit', [MESSAGE], 'Content-Range: lines 0-0/1\r\n\r\na', 422],
    ['PUT', '∅', 'Content-Range', ['Content-Range: bytes 0-3/4'], 'abc', 400],
    ['POST', '∅', 'its method', [], 'abc', 405],
    ['GET', 'C(10)', 'a false precondition', ['If-Match: "x"'], '', 412],
    ['GET', 'C(10)', 'an unsatisfiable range', ['Range: bytes=10-'], '', 416],
  ])('answers a %s of %s for %s', async (method, given, _why, fields, body, status) => {
    const path = await server.given(given)

    const answer = await server.send(method, path, fields, body)

    expect(answer.status).toBe(status)
    if (method === 'PATCH' && status === 404 && answer.body.length === 0) return
    expectProblem(answer)
    expect(answer.body.toString()).not.toContain(server.directory)
    expect(answer.body.toString()).not.toMatch(/\/(?:tmp|work|node_modules)\b|\n *at /)
  })

  it('reports the offset that a gap should have had', async () => {
    const path = await server.given('I(4/10)')

    const answer = await server.patch(path, 'bytes 7-7/10', 'h')

    expect(json(answer)).toMatchObject({ 'expected-offset': 4, 'provided-offset': 7 })
  })
})

function expectValidators(answer: Answer): void {
  expect(field(answer, 'etag')).toMatch(STRONG_TAG)
  const modified = field(answer, 'last-modified') ?? ''
  expect(new Date(modified).toUTCString()).toBe(modified)
  expect(Date.parse(modified)).toBeLessThanOrEqual(Date.parse(field(answer, 'date') ?? ''))
}

function expectRepresentation(answer: Answer): void {
  expectValidators(answer)
  expect(field(answer, 'accept-ranges')).toBe('bytes')
  expect(field(answer, 'x-content-type-options')).toBe('nosniff')
  expect(field(answer, 'accept-patch')).toMatch(/^message\/byteranges\b/)
}

function expectProblem(answer: Answer): void {
  expect(field(answer, 'content-type')).toMatch(/^application\/problem\+json\b/)
  expect(json(answer)).toMatchObject({ status: answer.status })
  for (const member of ['type', 'title', 'detail']) {
    expect(json(answer)[member]).toEqual(expect.any(String))
  }
}
