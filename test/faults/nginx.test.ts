/** The middleware behind nginx, configured as the README shows. */
import type express from 'express'
import { upload } from 'partial-upload/client'
import { describe, expect, it } from 'vitest'

import {
  CHUNKED,
  Connection,
  MESSAGE,
  MULTIPART,
  ask,
  chunk,
  field,
  message,
  multipart,
  request,
} from '../support/wire/client.ts'
import type { Answer, Bytes } from '../support/wire/client.ts'
import { FS, MEMORY, stateOf, useServer } from '../support/wire/server.ts'
import { NO_NGINX, shown, useNginx, usual } from '../support/faults/nginx.ts'
import { pattern, title } from '../support/faults/server.ts'

const MIB = 1024 * 1024
const PNG = 'Content-Type: image/png'
/** Fields that a proxy may change. */
const ITS_OWN = /^(?:connection|keep-alive|date|server)$/i

/** The ways in which a client ends its connection. */
const ENDS: readonly (readonly [name: string, end: (connection: Connection) => void])[] = [
  ['closed', (connection) => connection.close()],
  ['half-closed', (connection) => connection.socket.end()],
  ['reset', (connection) => connection.socket.resetAndDestroy()],
]

async function download(port: number, path: string, headers = {}): Promise<Buffer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
  return Buffer.from(await response.arrayBuffer())
}

describe.skipIf(NO_NGINX !== null)(title('behind nginx as the README shows it', NO_NGINX), () => {
  const server = useServer(FS, { maxSize: 80 * MIB })
  const nginx = useNginx(() => server.port, shown())

  describe.each(ENDS)('a connection that is %s', (_name, end) => {
    it.each([
      ['a PATCH', 'PATCH', [MESSAGE, 'Content-Length: 1000000']],
      ['a PATCH in chunks', 'PATCH', [MESSAGE, CHUNKED]],
      ['a PUT', 'PUT', ['Prefer: transaction=persist', 'Content-Length: 999960']],
      ['a PUT in chunks', 'PUT', ['Prefer: transaction=persist', CHUNKED]],
      ['a partial PUT', 'PUT', ['Content-Range: bytes 0-999959/999960', 'Content-Length: 999960']],
    ])('in the middle of %s keeps the bytes that arrived', async (_what, method, fields) => {
      const path = server.path()
      const data = pattern(300_000)
      const body = method === 'PUT' ? data : message('bytes 0-999959/999960', data)
      const connection = await Connection.open(nginx.port)

      connection.send(request(method, path, fields))
      connection.send(fields.includes(CHUNKED) ? chunk(body) : body)
      const length = method === 'PUT' && fields.includes(CHUNKED) ? '*' : '999960'
      await server.becomes(path, `I(300000/${length})`)
      end(connection)

      await server.idle(path)
      const get = await ask(nginx, 'GET', path)
      expect([stateOf(get), get.body.equals(data)]).toEqual([`I(300000/${length})`, true])
      const rest = pattern(999_960).subarray(300_000)
      const range = `bytes 300000-999959/999960`
      const done = await ask(nginx, 'PATCH', path, [MESSAGE], message(range, rest))
      expect(done.status).toBe(201)
    })

    it('in the middle of a PUT that did not ask for it keeps nothing', async () => {
      const path = server.path()
      const connection = await Connection.open(nginx.port)

      connection.send(request('PUT', path, ['Content-Length: 1000']), 'x')
      await server.send('OPTIONS', path)
      end(connection)

      await connection.closed()
      await server.idle(path)
      expect(await server.state(path)).toBe('∅')
    })
  })

  it.each([
    ['HEAD', 'I(4/10)', [], ''],
    ['GET', 'I(4/10)', [], ''],
    ['GET', 'I(4/10)', ['Range: bytes=1-2'], ''],
    ['HEAD', 'C(26)', [], ''],
    ['GET', 'C(26)', [], ''],
    ['GET', 'C(26)', ['Range: bytes=1-2'], ''],
    ['GET', 'C(26)', ['Range: bytes=99-'], ''],
    ['GET', 'C(26)', ['If-None-Match: *'], ''],
    ['HEAD', '∅', [], ''],
    ['GET', '∅', [], ''],
    ['OPTIONS', 'C(26)', [], ''],
    ['POST', 'C(26)', [], ''],
    ['PATCH', 'I(4/10)', [MESSAGE], message('bytes 0-3/10', 'abcd')],
    ['PATCH', 'I(4/10)', [MESSAGE], message('bytes 6-7/10', 'gh')],
    ['PATCH', 'I(4/10)', [MESSAGE, 'If-None-Match: *'], message('bytes 4-5/10', 'ef')],
    ['PATCH', 'C(26)', [MULTIPART], multipart(['bytes 0-0/*', 'a'], ['bytes 4-4/*', 'e'])],
    ['PATCH', 'C(26)', ['Content-Type: image/png'], 'x'],
    ['PUT', 'I(4/10)', ['Content-Range: bytes 6-7/10'], 'gh'],
  ])('forwards each field of the answer: %s of %s %j', async (...row) => {
    const [method, given, fields, body] = row
    const path = await server.given(given)

    const direct = await server.send(method, path, fields, body)
    const answer = await ask(nginx, method, path, fields, body)

    expect(essence(answer)).toEqual(essence(direct))
  })

  it('forwards several ranges, which can be sent back', async () => {
    const path = await server.given('C(26)')

    const answer = await ask(nginx, 'GET', path, ['Range: bytes=0-1,8-9'])
    const type = `Content-Type: ${field(answer, 'content-type')}`
    const again = await ask(nginx, 'PATCH', path, [type], answer.body)

    expect([answer.status, again.status, await server.state(path)]).toEqual([206, 204, 'C(26)'])
  })

  it('keeps a connection usable after errors', async () => {
    const path = await server.given('I(4/10)')
    const connection = await Connection.open(nginx.port)
    const requests = [
      request('PATCH', path, [MESSAGE], 'garbage'),
      request('PATCH', path, [MESSAGE], message('bytes 6-7/10', 'gh')),
      request('PUT', path, ['If-None-Match: *'], 'x'.repeat(1000)),
      request('PATCH', path, ['Content-Type: image/png'], 'x'.repeat(1000)),
      request('GET', path, ['Range: bytes=10-']),
      request('PATCH', path, [MESSAGE], message('bytes 4-9/10', 'efghij')),
    ]

    const statuses: number[] = []
    for (const bytes of requests) statuses.push((await connection.send(bytes).answer()).status)
    connection.socket.destroy()

    expect(statuses).toEqual([400, 409, 412, 415, 416, 201])
  })

  it('answers 100 Continue before the app has seen the request', async () => {
    const path = await server.given('C(26)')
    const connection = await Connection.open(nginx.port)

    connection.send(
      request('PUT', path, ['Expect: 100-continue', 'If-None-Match: *', 'Content-Length: 4']),
    )
    await connection.continue()
    const answer = await connection.send('abcd').answer()
    connection.socket.destroy()

    expect(answer.status).toBe(412)
  })

  it.each([
    ['too much content', 'PUT', PNG, 4, 90, 413],
    ['a gap', 'PATCH', MESSAGE, 5, 70, 409],
    ['another type', 'PATCH', PNG, 4, 70, 415],
  ])('sends the answer to a client that is still sending: %s', async (...row) => {
    const [, method, type, start, size, status] = row
    const path = await server.given('I(4/*)')
    const header = message(`bytes ${start}-${start + size * MIB - 1}/*`)
    const block = Buffer.alloc(MIB, 'x')

    for (const length of [`Content-Length: ${header.length + size * MIB}`, CHUNKED]) {
      const connection = await Connection.open(nginx.port)
      const wrap = (bytes: Buffer): Buffer => (length === CHUNKED ? chunk(bytes) : bytes)
      connection.send(request(method, path, [type, length]), wrap(header))
      for (let sent = 0; sent < size && connection.isOpen; sent += 1) {
        await write(connection, wrap(block))
      }
      expect((await connection.answer()).status).toBe(status)
      connection.socket.destroy()
    }
    expect(await server.state(path)).toBe('I(4/*)')
  })

  it('forwards an upload of 16 MiB while it arrives, and its download', async () => {
    const path = server.path()
    const data = pattern(16 * MIB)
    const connection = await Connection.open(nginx.port)

    connection.send(request('PUT', path, ['Prefer: transaction=persist', CHUNKED]))
    await write(connection, chunk(data.subarray(0, 8 * MIB)))
    await server.becomes(path, `I(${8 * MIB}/*)`)
    connection.send(chunk(data.subarray(8 * MIB)), '0\r\n\r\n')

    expect((await connection.answer()).status).toBe(201)
    connection.socket.destroy()
    expect((await download(nginx.port, path)).equals(data)).toBe(true)
    expect(nginx.log.filter((line) => /temporary file/.test(line))).toEqual([])
  })
})

describe.skipIf(NO_NGINX !== null)(title('an app behind nginx', NO_NGINX), () => {
  const seen: (readonly [string | undefined, string, string | undefined])[] = []
  const watch: express.RequestHandler = (req, _res, next) => {
    req.app.set('trust proxy', 'loopback')
    seen.push([req.ip, req.protocol, req.get('host')])
    next()
  }
  const server = useServer(MEMORY, {}, [watch])
  const nginx = useNginx(() => server.port, shown())

  it('reads the client from X-Forwarded-For and X-Forwarded-Proto', async () => {
    await ask(nginx, 'HEAD', '/files/a', ['X-Forwarded-For: 203.0.113.9'])
    await ask(nginx, 'HEAD', '/files/a')

    expect(seen).toEqual([
      ['203.0.113.9', 'http', 'test'],
      ['127.0.0.1', 'http', 'test'],
    ])
  })
})

describe.skipIf(NO_NGINX !== null)(title('behind nginx with short times', NO_NGINX), () => {
  const server = useServer(MEMORY, {
    lockTimeout: 300,
    onComplete: async (_req, { contentType }) => {
      // Wait for longer than the timeout of nginx.
      if (contentType === 'x/slow') await new Promise((resolve) => setTimeout(resolve, 1500))
      return null
    },
  })
  const nginx = useNginx(
    () => server.port,
    shown((text) =>
      text.replace(
        'proxy_read_timeout 300s;',
        'proxy_read_timeout 1s; client_body_timeout 1s; send_timeout 1s;',
      ),
    ),
  )

  it('a client that falls silent is disconnected, and the bytes that it sent are kept', async () => {
    const path = server.path()
    const connection = await Connection.open(nginx.port)

    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    connection.send(chunk(message('bytes 0-9/10', 'abcd')))
    const answer = await connection.answerOrClose()
    await connection.closed()
    connection.socket.destroy()

    expect([undefined, 408]).toContain(answer?.status)
    await server.idle(path)
    expect(await server.snapshot(path)).toMatchObject({ state: 'I(4/10)', bytes: 'abcd' })
  })

  it('a client that sends a little at a time is not limited in time', async () => {
    const path = server.path()
    const connection = await Connection.open(nginx.port)

    connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    connection.send(chunk(message('bytes 0-9/10')))
    for (const letter of 'abcdefghij') {
      // All pauses together are longer than each timeout of nginx.
      await new Promise((resolve) => setTimeout(resolve, 200))
      connection.send(chunk(letter))
    }
    connection.send('0\r\n\r\n')

    expect((await connection.answer()).status).toBe(201)
    connection.socket.destroy()
  })

  it('a hook that takes too long loses the answer, and the file is kept', async () => {
    const path = server.path()

    const answer = await ask(nginx, 'PUT', path, ['Content-Type: x/slow'], 'abcd')

    expect(answer.status).toBe(504)
    await server.becomes(path, 'C(4)')
  })

  it('a client that does not read is disconnected, and resumes with Range', async () => {
    const path = server.path()
    const data = pattern(16 * MIB)
    await server.send('PUT', path, [], data)
    const connection = await Connection.open(nginx.port)
    const chunks: Buffer[] = []

    connection.socket.removeAllListeners('data').pause()
    connection.send(request('GET', path))
    // Read nothing for longer than the timeout of nginx.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    for await (const part of connection.socket) chunks.push(part as Buffer)

    const answer = Buffer.concat(chunks)
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
    expect(body.length).toBeLessThan(data.length)
    const rest = await download(server.port, path, { range: `bytes=${body.length}-` })
    expect(Buffer.concat([body, rest]).equals(data)).toBe(true)
  })

  it('a writer that has stalled is revoked', async () => {
    const path = server.path()
    const stalled = await Connection.open(nginx.port)
    stalled.send(request('PATCH', path, [MESSAGE, CHUNKED]))
    stalled.send(chunk(message('bytes 0-9/10', 'abcd')))
    await server.becomes(path, 'I(4/10)')

    const body = message('bytes 4-9/10', 'EFGHIJ')
    const answer = await ask(nginx, 'PATCH', path, [MESSAGE], body)
    const displaced = await stalled.answerOrClose()
    stalled.socket.destroy()

    expect([answer.status, displaced?.status]).toEqual([201, 409])
    expect((await server.snapshot(path)).bytes).toBe('abcdEFGHIJ')
  })
})

const EAGER = 'gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any;'
const CACHING =
  'proxy_cache_path %/cache keys_zone=all:1m; proxy_cache all; proxy_cache_valid any 9m;'

describe.skipIf(NO_NGINX !== null)(
  title('behind nginx that compresses and caches', NO_NGINX),
  () => {
    const server = useServer(MEMORY)
    const careful = useNginx(
      () => server.port,
      shown((text) => `${EAGER} ${CACHING} ${text}`),
    )
    const eager = useNginx(() => server.port, usual('add_header X-Added yes;', EAGER))
    const caching = useNginx(() => server.port, usual('', CACHING))
    const all = ['Accept-Encoding: gzip']

    it('length and entity tag of every answer are those of the app', async () => {
      for (const given of ['I(4/10)', 'C(26)']) {
        const path = await server.given(given)
        for (const method of ['HEAD', 'GET']) {
          const direct = await server.send(method, path, all)
          expect(essence(await ask(careful, method, path, all))).toEqual(essence(direct))
        }
      }
    })

    it('every answer is fresh', async () => {
      const path = server.path()

      const states: string[] = []
      const ranges = [
        ['bytes 0-3/8', 'abcd'],
        ['bytes 4-5/8', 'ef'],
        ['bytes 6-7/8', 'gh'],
        ['bytes 8-8/9', 'i'],
      ] as const
      for (const [range, data] of ranges) {
        await ask(careful, 'PATCH', path, [MESSAGE], message(range, data))
        states.push(stateOf(await ask(careful, 'HEAD', path)))
        states.push(stateOf(await ask(careful, 'GET', path)))
      }

      expect(states).toEqual(
        ['I(4/8)', 'I(6/8)', 'C(8)', 'C(9)'].flatMap((state) => [state, state]),
      )
    })

    it('an incomplete upload would not be compressed or stored in any case', async () => {
      const path = await server.given('I(4/10)')
      for (const nginx of [eager, caching]) {
        const direct = await server.send('GET', path, all)
        const first = await ask(nginx, 'GET', path, all)
        expect(essence(first)).toEqual(essence(direct))
      }

      await server.patch(path, 'bytes 4-5/10', 'ef')

      expect(stateOf(await ask(caching, 'GET', path))).toBe('I(6/10)')
    })

    it('`add_header` without `always` adds no field to a 202 or 299', async () => {
      const [incomplete, finished] = [await server.given('I(4/10)'), await server.given('C(26)')]

      const answers = [
        await ask(eager, 'HEAD', incomplete),
        await ask(eager, 'PATCH', incomplete, [MESSAGE], message('bytes 4-5/10', 'ef')),
        await ask(eager, 'HEAD', finished),
      ]

      const added = answers.map((answer) => [answer.status, field(answer, 'x-added')])
      expect(added).toEqual([
        [299, null],
        [202, null],
        [200, 'yes'],
      ])
    })

    it('a finished file loses its length by compression, and is never stale', async () => {
      const path = await server.given('C(26)')

      const head = await ask(eager, 'HEAD', path, all)
      await ask(caching, 'GET', path)
      await server.send('PUT', path, [], 'new')
      const cached = await ask(caching, 'GET', path)

      expect([field(head, 'content-length'), field(head, 'etag')?.slice(0, 2)]).toEqual([
        null,
        'W/',
      ])
      expect(cached.body.toString()).toBe('new')
    })
  },
)

describe.skipIf(NO_NGINX !== null)(
  title('behind nginx with its default settings', NO_NGINX),
  () => {
    const server = useServer(MEMORY)
    const nginx = useNginx(() => server.port, usual())
    const unbuffered = useNginx(
      () => server.port,
      usual('proxy_request_buffering off; client_max_body_size 0;'),
    )

    it('a cut upload is not visible', async () => {
      const path = await server.given('I(4/*)')
      const connection = await Connection.open(nginx.port)
      const body = message('bytes 4-900003/*', 'x'.repeat(800_000))

      connection.send(request('PATCH', path, [MESSAGE, 'Content-Length: 900035']))
      await write(connection, body)
      await ask(nginx, 'HEAD', path)
      connection.close()

      await connection.closed()
      await server.idle(path)
      expect(await server.state(path)).toBe('I(4/*)')
      expect(nginx.log.filter((line) => /buffered to a temporary file/.test(line))).toHaveLength(1)
    })

    it('a request of more than 1 MB is refused by nginx itself', async () => {
      const answer = await ask(nginx, 'PUT', server.path(), [], 'x'.repeat(MIB + 1))

      expect([answer.status, field(answer, 'content-type')]).toEqual([413, 'text/html'])
    })

    it('the client library sends smaller segments', async () => {
      const path = server.path()
      const data = pattern(3_000_000)

      const { done } = upload(`http://127.0.0.1:${nginx.port}${path}`, new Blob([data]))

      expect((await done).status).toBe(201)
      expect((await server.send('GET', path)).body.equals(data)).toBe(true)
    })

    it('chunks are gathered over HTTP/1.0, even where buffering is off', async () => {
      const path = server.path()
      const connection = await Connection.open(unbuffered.port)

      connection.send(request('PATCH', path, [MESSAGE, CHUNKED]))
      await write(connection, chunk(message('bytes 0-9/10', 'abcd')))
      await ask(unbuffered, 'HEAD', path)
      connection.close()

      await connection.closed()
      await server.idle(path)
      expect(await server.state(path)).toBe('∅')
    })
  },
)

async function write(connection: Connection, bytes: Bytes): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      connection.socket.off('close', end)
      resolve()
    }
    connection.socket.on('close', end)
    connection.socket.write(bytes, end)
  })
}

/** Returns the parts of an answer that a proxy must not change. */
function essence({ status, reason, fields, body }: Answer) {
  const kept = fields.filter(([name]) => !ITS_OWN.test(name))
  const sorted = kept.map(([name, value]) => `${name}: ${value}`).toSorted()
  return { status, reason, fields: sorted, body: body.toString() }
}
