/** A connection after an early answer: it serves the next request or is closed, and never hangs. */
import express from 'express'
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  chunked,
  field,
  message,
  request,
} from '../support/wire/client.ts'
import type { Bytes } from '../support/wire/client.ts'
import { HTTP2, MEMORY, SHELLS, letters, useServer } from '../support/wire/server.ts'

const PNG = 'Content-Type: image/png'
const LARGE = 'x'.repeat(500_000)

type Row = readonly [
  why: string,
  method: string,
  given: string,
  fields: readonly string[],
  body: Bytes,
  status: number,
]

const EARLY: readonly Row[] = [
  ['another type', 'PATCH', 'C(10)', [PNG], LARGE, 415],
  ['a coding', 'PATCH', 'C(10)', [MESSAGE, 'Content-Encoding: gzip'], LARGE, 415],
  ['a false precondition', 'PATCH', 'C(10)', [MESSAGE, 'If-None-Match: *'], LARGE, 412],
  ['too much content', 'PATCH', 'C(10)', [MESSAGE], `${LARGE}${LARGE}`, 413],
  ['garbage', 'PATCH', 'C(10)', [MESSAGE], LARGE, 400],
  ['garbage', 'PATCH', 'C(10)', [MULTIPART], LARGE, 400],
  ['a gap', 'PATCH', 'I(4/*)', [MESSAGE], message('bytes 5-500004/*', LARGE), 409],
  ['no such resource', 'PATCH', '∅', [MESSAGE], message('bytes 5-500004/*', LARGE), 404],
  ['the wrong length', 'PATCH', '∅', [MESSAGE], message('bytes 0-9/10', LARGE), 400],
  ['Content-Range', 'PUT', 'C(10)', ['Content-Range: bytes 3-0/4'], LARGE, 400],
  ['a false precondition', 'PUT', 'C(10)', ['If-None-Match: *'], LARGE, 412],
  ['its method', 'POST', 'C(10)', [], LARGE, 405],
  ['a false precondition', 'DELETE', 'C(10)', ['If-Match: "x"'], LARGE, 412],
  ['an unsatisfiable range', 'GET', 'C(10)', ['Range: bytes=99-'], LARGE, 416],
]

describe.each(SHELLS)('over $name', (combination) => {
  const server = useServer(combination, { maxSize: 600_000, maxParts: 8 })

  it.each(EARLY)(
    'the request after one refused for %s is answered, or the connection closed: %s of %s',
    async (_why, method, given, fields, body, status) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)
      const connection = await server.connect()

      connection.send(request(method, path, fields, body), request('OPTIONS', path))
      const first = await connection.answer()
      const second = await connection.answerOrClose()

      expect(first.status).toBe(status)
      expect([undefined, 204]).toContain(second?.status)
      expect(await server.snapshot(path)).toEqual(before)
    },
  )

  it.each(EARLY.filter(([why]) => why !== 'too much content'))(
    'the request after chunks refused for %s is answered, or the connection closed: %s of %s',
    async (_why, method, given, fields, body, status) => {
      const path = await server.given(given)
      const before = await server.snapshot(path)
      const connection = await server.connect()

      connection.send(request(method, path, [...fields, CHUNKED]), chunked(body))
      connection.send(request('OPTIONS', path))
      const first = await connection.answer()
      const second = await connection.answerOrClose()

      expect(first.status).toBe(status)
      expect([undefined, 204]).toContain(second?.status)
      expect(await server.snapshot(path)).toEqual(before)
    },
  )

  it('serves requests that follow each other without waiting for answers', async () => {
    // One resource each: Node hands over the next request while the last one is still written.
    const [first, second, third] = [server.path(), server.path(), await server.given('I(4/8)')]
    const connection = await server.connect()

    connection.send(
      Buffer.concat([
        request('PATCH', first, [MESSAGE], message('bytes 0-3/8', 'abcd')),
        request('HEAD', third),
        request('PATCH', third, [MESSAGE], message('bytes 6-7/8', 'gh')),
        request('PATCH', third, [MESSAGE], 'garbage'),
        request('PATCH', second, [MESSAGE, CHUNKED], chunked(message('bytes 0-3/4', 'abcd'))),
        request('GET', third),
      ]),
    )

    const statuses: number[] = []
    for (const method of ['PATCH', 'HEAD', 'PATCH', 'PATCH', 'PATCH']) {
      statuses.push((await connection.answer(method)).status)
    }
    const get = await connection.answer()
    expect(statuses).toEqual([202, 299, 409, 400, 201])
    expect(get.body.toString()).toBe(letters(4))
  })
})

describe.each([MEMORY, HTTP2])('a client that promises more than it sends over $name', (on) => {
  const server = useServer(on)

  it.each(['Content-Length: 10000000', CHUNKED])(
    'is disconnected some time after an early answer: %s',
    async (length) => {
      const connection = await server.connect()
      const sent = length === CHUNKED ? chunk('x') : 'x'

      connection.send(request('PATCH', server.path(), [PNG, length]), sent)

      expect((await connection.answer()).status).toBe(415)
      await connection.closed()
    },
  )
})

describe.each([MEMORY, HTTP2])('a client that sends far more than wanted over $name', (on) => {
  const server = useServer(on)

  it.each([
    ['another type', [PNG], 415],
    ['a false precondition', [MESSAGE, 'If-Match: "x"'], 412],
    ['garbage', [MESSAGE], 400],
  ])(
    'still gets the answer, and then the end of the connection: %s',
    async (_why, fields, status) => {
      const connection = await server.connect()
      const total = 60_000_000
      const megabyte = Buffer.alloc(1_000_000, 'x')

      connection.send(request('PATCH', server.path(), [...fields, `Content-Length: ${total}`]))
      for (let sent = 0; sent < total; sent += megabyte.length) connection.send(megabyte)

      expect((await connection.answer()).status).toBe(status)
      connection.send(request('OPTIONS', server.path()))
      const next = await connection.answerOrClose()
      expect([undefined, 204]).toContain(next?.status)
    },
  )
})

describe('a client that sends far more than wanted over HTTP/1.1', () => {
  const server = useServer(MEMORY)

  it.each([['Content-Length: 100000000'], [CHUNKED]])(
    'gets the answer although it reads only after all is sent, as browsers do: %s',
    async (length) => {
      const connection = await server.connectSocket()
      const { socket } = connection
      const megabyte = Buffer.alloc(1_000_000, 'x')

      socket.pause()
      socket.write(request('PATCH', server.path(), [PNG, length]))
      for (let sent = 0; sent < 100; sent += 1) {
        const piece = length === CHUNKED ? chunk(megabyte) : megabyte
        await new Promise((resolve) => socket.write(piece, resolve))
      }
      if (length === CHUNKED) socket.write('0\r\n\r\n')
      socket.resume()

      expect((await connection.answer()).status).toBe(415)
    },
  )
})

describe('a client that sends on after a hook has thrown', () => {
  const failure = new Error('no database')
  const server = useServer(MEMORY, {
    onCreate: () => {
      throw failure
    },
  })

  it('gets the answer of the app', async () => {
    const connection = await server.connectSocket()
    const { socket } = connection

    socket.pause()
    socket.write(request('PUT', server.path(), ['Content-Length: 100000000']))
    for (let sent = 0; sent < 100; sent += 1) {
      await new Promise((resolve) => socket.write(Buffer.alloc(1_000_000), resolve))
    }
    socket.resume()

    expect((await connection.answer()).status).toBe(500)
    expect(server.failures.splice(0)).toEqual([failure])
  })
})

describe('a body parser before the middleware', () => {
  const document = message('bytes 0-3/4', 'abcd')

  describe('that leaves the bytes', () => {
    const server = useServer(MEMORY, {}, [express.raw({ type: () => true })])

    it('is accepted', async () => {
      const path = server.path()

      const answer = await server.send('PATCH', path, [MESSAGE], document)

      expect([answer.status, await server.state(path)]).toEqual([201, 'C(4)'])
    })
  })

  describe('that leaves something else', () => {
    const server = useServer(MEMORY, {}, [express.text({ type: () => true })])

    it('is an error of the app, with a message', async () => {
      const answer = await server.send('PATCH', server.path(), [MESSAGE], document)

      expect(answer.status).toBe(500)
      expect(server.failures.splice(0)).toEqual([expect.any(Error)])
    })
  })
})

describe.each([MEMORY, HTTP2])(
  'a request over $name that an earlier middleware has paused',
  (combination) => {
    const server = useServer(combination, {}, [
      (req, _res, next) => {
        req.pause()
        setImmediate(next)
      },
    ])

    it.each([
      ['as it arrives', []],
      ['whole', ['Prefer: transaction=atomic']],
    ])('is read %s', async (_how, fields) => {
      const path = server.path()

      const answer = await server.patch(path, 'bytes 0-3/4', 'abcd', ...fields)

      expect([answer.status, await server.state(path)]).toEqual([201, 'C(4)'])
    })
  },
)

describe('a HEAD and a GET on one connection', () => {
  const server = useServer(MEMORY)

  it('stay apart', async () => {
    const path = await server.given('I(4/10)')
    const connection = await server.connect()

    connection.send(request('HEAD', path), request('GET', path))
    const head = await connection.answer('HEAD')
    const get = await connection.answer()

    expect(field(head, 'content-length')).toBe('4')
    expect(get.body.toString()).toBe('abcd')
  })
})

describe('many requests at once on one connection', () => {
  const turns: number[] = []
  let turn = 0
  const server = useServer(MEMORY, {
    key: (_req, path) => {
      turns.push(turn)
      return path
    },
  })

  it('are answered one per turn of the event loop, so that others are served meanwhile', async () => {
    const connection = await server.connect()
    let isDone = false
    const countTurns = () => {
      turn += 1
      if (!isDone) setImmediate(countTurns)
    }
    countTurns()

    connection.send(Buffer.concat(Array.from({ length: 50 }, () => request('HEAD', '/files/x'))))
    for (let count = 0; count < 50; count++) await connection.answer('HEAD')
    isDone = true

    expect(turns).toHaveLength(50)
    expect(new Set(turns).size).toBe(50)
  })
})
