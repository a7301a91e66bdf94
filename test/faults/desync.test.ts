/**
 * Requests that two parsers could read differently (request smuggling). The content of such a
 * request must never be treated as another request, and each later request gets its own answer or
 * none.
 */
import type express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { beforeAll, describe, expect, it } from 'vitest'

import { CHUNKED, Connection, MESSAGE, chunked, message, request } from '../support/wire/client.ts'
import { MEMORY, useServer } from '../support/wire/server.ts'
import { NO_NGINX, shown, useNginx } from '../support/faults/nginx.ts'
import { title } from '../support/faults/server.ts'

/** Content that a wrong parser would treat as a request. */
const SMUGGLED = 'DELETE /files/victim HTTP/1.1\r\nHost: test\r\n\r\n'
const DOCUMENT = text(message(`bytes 0-${SMUGGLED.length - 1}/${SMUGGLED.length}`, SMUGGLED))
const SIZE = DOCUMENT.length.toString(16)
const LENGTH = `Content-Length: ${DOCUMENT.length}`
const PROBE = text(request('HEAD', '/files/probe'))

/**
 * The statuses of the answers on the connection. The last one is the 299 to the probe, unless the
 * connection is closed before.
 */
type Statuses = readonly number[]
type Row = readonly [what: string, bytes: string, direct: readonly Statuses[], proxied: Statuses]

const REFUSED: Statuses = [400]
const DONE: Statuses = [201, 299]
/** Node reports a fault behind a request immediately, even while that request is being answered. */
const ENDED: readonly Statuses[] = [[201], [201, 400], [400]]

const LENGTHS: readonly Row[] = [
  ['content that is a request', patch([LENGTH]), [DONE], DONE],
  ['two lengths', patch([LENGTH, 'Content-Length: 4']), [REFUSED], REFUSED],
  ['one length twice', patch([LENGTH, LENGTH]), [REFUSED], REFUSED],
  ['a list of lengths', patch([`${LENGTH}, ${DOCUMENT.length}`]), [REFUSED], REFUSED],
  ['a length with a sign', patch([LENGTH.replace(': ', ': +')]), [REFUSED], REFUSED],
  ['a negative length', patch(['Content-Length: -1']), [REFUSED], REFUSED],
  ['a hexadecimal length', patch([`Content-Length: 0x${SIZE}`]), [REFUSED], REFUSED],
  ['an empty length', patch(['Content-Length: ']), [REFUSED], REFUSED],
  ['a length of 2^64 + 1', patch(['Content-Length: 18446744073709551617']), [REFUSED], REFUSED],
  ['a space before the colon', patch([LENGTH.replace(':', ' :')]), [REFUSED], REFUSED],
  ['a folded length', patch([LENGTH.replace(': ', ':\r\n ')]), [REFUSED], REFUSED],
  ['another folded line', patch(['X: a\r\n b', LENGTH]), [REFUSED], REFUSED],
  ['a line that ends in LF', patch([`X: a\n${LENGTH}`]), [REFUSED], DONE],
  ['a line that ends in CR', patch([`X: a\r${LENGTH}`]), [REFUSED], REFUSED],
  ['NUL in a line', patch(['X: a\0b', LENGTH]), [REFUSED], REFUSED],
  ['empty lines after the content', `${patch([LENGTH])}\r\n\r\n`, [DONE], DONE],
  ['garbage after the content', `${patch([LENGTH])}garbage\r\n\r\n`, ENDED, [201, 400]],
]

const CODINGS: readonly Row[] = [
  ['chunks of requests', patch([CHUNKED], chunks()), [DONE], DONE],
  ['gzip, chunked', patch(['Transfer-Encoding: gzip, chunked'], chunks()), [[501]], [501]],
  ['chunked, gzip', patch(['Transfer-Encoding: chunked, gzip'], chunks()), [REFUSED], [501]],
  ['identity', patch(['Transfer-Encoding: identity'], chunks()), [REFUSED], [501]],
  ['another name', patch(['Transfer-Encoding: xchunked'], chunks()), [REFUSED], [501]],
  ['a vertical tab', patch(['Transfer-Encoding: \x0bchunked'], chunks()), [REFUSED], [501]],
  ['chunked twice', patch([CHUNKED, CHUNKED], chunks()), [REFUSED], REFUSED],
  ['chunked and a length', patch([CHUNKED, 'Content-Length: 4'], chunks()), [REFUSED], REFUSED],
  ['a length and chunked', patch(['Content-Length: 4', CHUNKED], chunks()), [REFUSED], REFUSED],
  ['a folded coding', patch(['Transfer-Encoding:\r\n chunked'], chunks()), [REFUSED], REFUSED],
  ['an extension', patch([CHUNKED], chunks(`${SIZE};a=b;c="d"`)), [DONE], DONE],
  ['an extension with LF', patch([CHUNKED], chunks(`${SIZE};a\nb`)), [REFUSED], REFUSED],
  ['20 kB of extension', patch([CHUNKED], chunks(`${SIZE};${'a'.repeat(2e4)}`)), [[413]], DONE],
  ['a space after the size', patch([CHUNKED], chunks(`${SIZE} `)), [REFUSED], DONE],
  ['a size with 0x', patch([CHUNKED], chunks(`0x${SIZE}`)), [REFUSED], REFUSED],
  ['a size beyond 2^64', patch([CHUNKED], chunks(`10000000000000000${SIZE}`)), [REFUSED], REFUSED],
  ['a size too small', patch([CHUNKED], chunks('1')), [REFUSED], REFUSED],
  [
    'chunks that end in LF',
    patch([CHUNKED], chunks().replaceAll('\r\n', '\n')),
    [REFUSED],
    REFUSED,
  ],
  ['trailers', patch([CHUNKED], chunks(SIZE, 'X-A: b\r\n')), [DONE], DONE],
  [
    'a length in trailers',
    patch([CHUNKED], chunks(SIZE, 'Content-Length: 9\r\n')),
    [REFUSED],
    DONE,
  ],
]

const CONNECTIONS: readonly Row[] = [
  ['HTTP/1.0', old(patch([LENGTH])), ENDED, [201]],
  ['HTTP/1.0 and keep-alive', old(patch([LENGTH, 'Connection: keep-alive'])), [DONE], DONE],
  ['HTTP/1.0 and chunks', old(patch([CHUNKED], chunks())), [REFUSED], REFUSED],
  ['Connection: close', patch([LENGTH, 'Connection: close']), ENDED, [201]],
  ['Connection: close, X', patch([LENGTH, 'Connection: close, X']), ENDED, [201]],
  ['Connection: X, close', patch([LENGTH, 'Connection: X, close']), ENDED, [201]],
  ['a target in absolute form', patch([LENGTH], DOCUMENT, 'http://other/files/new'), [DONE], DONE],
  ['CONNECT', `CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n`, [[]], REFUSED],
  ['the start of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, [REFUSED], REFUSED],
  ['HTTP/0.9', `GET /files/new\r\n\r\n`, [REFUSED], []],
]

const METHODS: readonly Row[] = ['HEAD', 'GET', 'DELETE', 'OPTIONS'].flatMap((method): Row[] => {
  const then = method === 'OPTIONS' ? [204, 299] : [404, 299]
  return [
    [`${method} with content`, text(request(method, '/files/new', [], SMUGGLED)), [then], then],
    [
      `${method} with chunks`,
      text(request(method, '/files/new', [CHUNKED], chunked(SMUGGLED))),
      [then],
      then,
    ],
  ]
})

const EXPECTATIONS: readonly Row[] = [
  ['100-continue', patch([LENGTH, 'Expect: 100-continue']), [DONE], DONE],
  ['100-Continue', patch([LENGTH, 'Expect: 100-Continue']), [DONE], DONE],
  ['a list', patch([LENGTH, 'Expect: 100-continue, x']), [DONE], DONE],
  ['another expectation', patch([LENGTH, 'Expect: x']), [[417, 299]], DONE],
  ['HTTP/1.0', old(patch([LENGTH, 'Expect: 100-continue'])), ENDED, [201]],
  ['no content', patch(['Content-Length: 0', 'Expect: 100-continue'], ''), [REFUSED], [400, 299]],
  ['GET', text(request('GET', '/files/new', ['Expect: 100-continue'])), [[404]], [404, 299]],
]

const TABLES = [
  ['lengths', LENGTHS],
  ['transfer codings', CODINGS],
  ['connections', CONNECTIONS],
  ['methods without content', METHODS],
  ['expectations', EXPECTATIONS],
] as const

/** All in one packet, or split so that most lines arrive in several. */
const PACKETS = [
  ['in one packet', Infinity],
  ['in packets of 13 bytes', 13],
] as const

const seen: string[] = []
const watch: express.RequestHandler = (req, _res, next) => {
  seen.push(`${req.method} ${req.url}`)
  next()
}

describe('a request', () => {
  const server = useServer(MEMORY, {}, [watch])
  const nginx = useNginx(() => server.port, shown())
  beforeAll(async () => {
    await server.send('PUT', '/files/victim', [], 'victim')
    await server.patch('/files/probe', 'bytes 0-3/10', 'abcd')
  })

  /**
   * Sends the bytes and the probe, and returns the statuses that arrive before the connection
   * closes.
   */
  async function exchange(port: number, bytes: string, size: number): Promise<number[]> {
    const path = server.path()
    seen.length = 0
    const connection = await Connection.open(port)
    const [method = ''] = bytes.split(' ', 1)
    const all = `${bytes.replace('/files/new', path)}${PROBE}`
    for (let at = 0; at < all.length; at += size) {
      connection.send(all.slice(at, at + size))
      if (size < all.length) await new Promise(setImmediate)
    }
    const statuses = await statusesOf(connection, method)

    const known = [new RegExp(`^${method} .*${path}$`), /^HEAD .*\/files\/probe$/]
    expect(seen.filter((line) => !known.some((pattern) => pattern.test(line)))).toEqual([])
    expect(seen.length).toBeLessThanOrEqual(2)
    expect(await server.state('/files/victim')).toBe('C(6)')
    return statuses
  }

  describe.each(TABLES)('with %s', (_table, rows) => {
    describe.each(PACKETS)('sent %s', (_how, size) => {
      it.each(rows)('does not mislead a peer: %s', async (_what, bytes, direct) => {
        expect(direct).toContainEqual(await exchange(server.port, bytes, size))
      })

      it.skipIf(NO_NGINX !== null).each(rows)(
        title('misleads neither nginx nor the app behind it: %s', NO_NGINX),
        async (_what, bytes, _direct, proxied) => {
          const statuses = await exchange(nginx.port, bytes, size)

          // nginx closes the connection after an answer that arrives before the end of the content.
          expect([proxied, proxied.slice(0, 1)]).toContainEqual(statuses)
          const next = await Connection.open(nginx.port)
          expect((await next.send(PROBE).answer('HEAD')).status).toBe(299)
          next.socket.destroy()
        },
      )
    })
  })

  describe.each([
    ['the app', () => server.port, null],
    ['nginx', () => nginx.port, NO_NGINX],
  ] as const)('to %s', (_name, port, reason) => {
    it.skipIf(reason !== null).each([
      ['another type', 'PATCH', ['Content-Type: image/png'], 415],
      ['a false precondition', 'PATCH', [MESSAGE, 'If-Match: "x"'], 412],
      ['garbage', 'PATCH', [MESSAGE], 400],
      ['its method', 'POST', [], 405],
    ] as const)(
      title('that is refused for %s half-way is not parsed as another one', reason),
      async (_why, method, fields, status) => {
        const connection = await Connection.open(port())
        const rest = SMUGGLED.repeat(1000)
        const start = 'garbage\r\n'.repeat(1000)
        const length = `Content-Length: ${start.length + rest.length}`

        connection.send(request(method, server.path(), [...fields, length]), start)
        const first = await connection.answer()
        connection.send(rest, PROBE)
        const others = await statusesOf(connection, 'HEAD')
        connection.socket.destroy()

        expect(first.status).toBe(status)
        expect([[], [299]]).toContainEqual(others)
        expect(await server.state('/files/victim')).toBe('C(6)')
      },
    )

    it.skipIf(reason !== null)(
      title('that follows another one without waiting sees its effect', reason),
      async () => {
        const path = server.path()
        const connection = await Connection.open(port())
        const requests = [
          request('PATCH', path, [MESSAGE], message('bytes 0-3/8', 'abcd')),
          request('HEAD', path),
          request('PATCH', path, [MESSAGE, CHUNKED], chunked(message('bytes 4-7/8', 'efgh'))),
          request('GET', path),
          request('PUT', path, [], 'new'),
          request('GET', path, ['Range: bytes=1-']),
          request('DELETE', path),
          request('HEAD', path),
        ]

        connection.send(Buffer.concat(requests))
        const answers: string[] = []
        for (const bytes of requests) {
          const [method = ''] = text(bytes).split(' ', 1)
          const { status, body } = await connection.answer(method)
          answers.push(status < 300 && method === 'GET' ? `${status} ${text(body)}` : `${status}`)
        }
        connection.socket.destroy()

        expect(answers.join(', ')).toBe('202, 299, 201, 200 abcdefgh, 204, 206 ew, 204, 404')
      },
    )
  })

  it('that asks for another protocol is answered, and so is the one after it', async () => {
    const connection = await Connection.open(server.port)
    const fields = [LENGTH, 'Connection: Upgrade', 'Upgrade: websocket']

    connection.send(patch(fields).replace('/files/new', server.path()))
    const first = await connection.answer()
    const second = await connection.send(PROBE).answer('HEAD')
    connection.socket.destroy()

    expect([first.status, second.status]).toEqual([201, 299])
  })
})

describe('a request behind one whose answer closes the connection', () => {
  const server = useServer(MEMORY, { maxSize: 10_000_000 })

  it('is not processed', async () => {
    await server.send('PUT', '/files/victim', [], 'victim')
    const connection = await server.connectSocket()
    const tooLong = request('PUT', server.path(), [CHUNKED], chunked('x'.repeat(10_000_001)))

    connection.send(Buffer.concat([tooLong, Buffer.from(SMUGGLED)]))
    const statuses = await statusesOf(connection, 'PUT')

    expect(statuses).toEqual([413])
    await server.idle('/files/victim')
    expect(await server.state('/files/victim')).toBe('C(6)')
  })
})

describe('a request that passes several middlewares', () => {
  const other = partialUpload({ storage: memoryStorage(), key: () => null })
  const server = useServer(MEMORY, {}, [other])

  it('waits for those before it, not for itself', async () => {
    const path = server.path()
    const connection = await server.connect()

    connection.send(
      Buffer.concat([
        request('PUT', path, [], 'abcd'),
        request('GET', path),
        request('DELETE', path),
      ]),
    )
    const statuses: number[] = []
    for (const method of ['PUT', 'GET', 'DELETE']) {
      statuses.push((await connection.answer(method)).status)
    }

    expect(statuses).toEqual([201, 200, 204])
  })
})

/** Returns the statuses that arrive before the connection closes or the probe is answered. */
async function statusesOf(connection: Connection, method: string): Promise<number[]> {
  const statuses: number[] = []
  while (statuses.at(-1) !== 299) {
    const answer = await connection.answerOrClose(statuses.length === 0 ? method : 'HEAD')
    if (answer === null) break
    statuses.push(answer.status)
  }
  connection.socket.destroy()
  return statuses
}

function patch(lines: readonly string[], body = DOCUMENT, target = '/files/new'): string {
  return [`PATCH ${target} HTTP/1.1`, 'Host: test', MESSAGE, ...lines, '', body].join('\r\n')
}

function old(bytes: string): string {
  return bytes.replace('HTTP/1.1', 'HTTP/1.0')
}

/** Formats the document as one chunk, whose size line is `size`, and the last chunk. */
function chunks(size = SIZE, trailers = ''): string {
  return `${size}\r\n${DOCUMENT}\r\n0\r\n${trailers}\r\n`
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
