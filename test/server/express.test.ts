/**
 * The middleware in an app: its use of Express, the requests that it passes on, and the resources
 * that it releases.
 */
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'

import express, { type Express } from 'express'
import { RefusedError, UploadError, partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import supertest from 'supertest'
import { describe, expect, it, vi } from 'vitest'

import type { PartialUploadOptions } from '../../src/options.ts'
import type { StorageAdapter, Writer } from '../../src/storage/adapter.ts'
import { closedAfterEach } from '../support/listening.ts'
import { WatchedStorage, type Step } from '../support/watched-storage.ts'
import {
  CHUNKED,
  Connection,
  MESSAGE,
  chunk,
  field,
  message,
  request,
} from '../support/wire/client.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express
const FRAMEWORKS = [
  { name: 'Express 4', framework: express4 },
  { name: 'Express 5', framework: express },
]
const MIB = 1024 * 1024

type Options = Partial<PartialUploadOptions<express.Request>>
type User = express.Request & { login?: string }

describe.each(FRAMEWORKS)('in $name', ({ framework }) => {
  describe('a resource', () => {
    it.each([
      ['/files', '/files/a/b', 'a/b'],
      ['/files', '/files/a?version=2', 'a'],
      ['/files', '/files/a%20b/%C3%A9', 'a b/é'],
      ['/files', '/files/a%3Fb', 'a?b'],
      ['/files', '/files/100%25', '100%'],
      ['/', '/a', 'a'],
      ['/users/:id', '/users/7/a', 'a'],
    ])('mounted at %s has for %s the key "%s"', async (mount, url, key) => {
      const storage = memoryStorage()
      const app = framework().use(mount, partialUpload({ storage }))

      await supertest(app).put(url).send('data').expect(201)

      expect(await storage.head(key)).not.toBeNull()
    })

    it('in a router below a router has the key below both', async () => {
      const storage = memoryStorage()
      const inner = framework.Router().use('/files', partialUpload({ storage }))
      const app = framework().use('/api', inner)

      await supertest(app).put('/api/files/a').send('data').expect(201)

      expect(await storage.head('a')).not.toBeNull()
    })

    it('has the same key in the absolute form of a target (RFC 9112 §3.2.2)', async () => {
      const storage = memoryStorage()
      const { connection } = await listen(framework().use(partialUpload({ storage })))
      const mounted = await listen(framework().use('/files', partialUpload({ storage })))

      connection.send(request('PUT', 'http://test/a', [], 'data'))
      mounted.connection.send(request('PUT', 'http://test/files/b?c', [], 'data'))

      expect((await connection.answer()).status).toBe(201)
      expect((await mounted.connection.answer()).status).toBe(201)
      expect(await storage.head('a')).not.toBeNull()
      expect(await storage.head('b')).not.toBeNull()
    })

    it.each(['/files/a%2Fb', '/files/%E0%A4%A', '/files/a/', '/files/a//b', '/files/..%5Ca'])(
      'cannot be named %s: 400',
      async (url) => {
        const app = framework().use('/files', partialUpload({ storage: memoryStorage() }))

        const answer = await supertest(app).put(url).send('data')

        expect(answer.status).toBe(400)
      },
    )

    it('that does not exist has an empty answer to HEAD and GET', async () => {
      const app = framework().use('/files', partialUpload({ storage: memoryStorage() }))

      const head = await supertest(app).head('/files/a')
      const get = await supertest(app).get('/files/a')

      expect([head.status, head.headers['content-length']]).toEqual([404, '0'])
      expect([get.status, get.headers['content-length'], get.text]).toEqual([404, '0', ''])
    })
  })

  describe('a request', () => {
    it.each(['/files', '/files/', '/files?x', '/other'])('for %s is passed on', async (url) => {
      const app = framework()
        .use('/files', partialUpload({ storage: memoryStorage() }))
        .use((_req, res) => void res.send('the app'))

      expect((await supertest(app).get(url)).text).toBe('the app')
    })

    it('without a key is passed on, with its content', async () => {
      const app = framework()
        .use('/files', partialUpload({ storage: memoryStorage(), key: () => null }))
        .use(framework.json(), (req, res) => void res.json({ got: req.body as unknown }))

      const answer = await supertest(app).put('/files/a').send({ b: 1 })

      expect(answer.body).toEqual({ got: { b: 1 } })
    })

    it('has the key that the app gives it', async () => {
      const storage = memoryStorage()
      const app = framework()
        .use(signIn)
        .use('/files', partialUpload({ storage, key: (req: User, path) => `${req.login}/${path}` }))

      await supertest(app).put('/files/a').send('data').expect(201)

      expect(await storage.head('ada/a')).not.toBeNull()
    })

    it.each(['/files', '/files/', '/files?x'])(
      'for %s does not call key, which would get no path',
      async (url) => {
        const storage = memoryStorage()
        const key = vi.fn<(req: unknown, path: string) => string>((_req, path) => `ann/${path}`)
        const app = framework()
          .use('/files', partialUpload({ storage, key }))
          .use((_req, res) => void res.status(404).send('the app'))

        const answer = await supertest(app).put(url).send('data')

        expect([answer.status, answer.text]).toEqual([404, 'the app'])
        expect(key).not.toHaveBeenCalled()
        expect(await storage.head('ann/null')).toBeNull()
      },
    )

    it('for the one resource of a route has the key that the app gives it', async () => {
      const storage = memoryStorage()
      const app = framework()
      app.all(
        '/users/:id/avatar',
        partialUpload({
          storage,
          key: (req: express.Request) => `avatars/${String(req.params['id'])}`,
        }),
      )

      await supertest(app).put('/users/7/avatar').send('data').expect(201)
      const answer = await supertest(app).get('/users/7/avatar')

      expect([answer.status, (await storage.head('avatars/7'))?.size]).toEqual([200, 4])
    })

    it.each([
      [new RefusedError(401, 'sign in'), 401],
      [new UploadError('ERR_KEY', { detail: 'no' }), 400],
    ])('whose key is refused gets that answer', async (error, status) => {
      const key = (): string => {
        throw error
      }
      const app = framework().use('/files', partialUpload({ storage: memoryStorage(), key }))

      const answer = await supertest(app).get('/files/a')

      expect(answer.status).toBe(status)
      expect(answer.headers['content-type']).toBe('application/problem+json')
    })

    it('of a preflight is left to cors, before or after the middleware', async () => {
      const app = framework()
        .use('/files', partialUpload({ storage: memoryStorage() }))
        .use((_req, res) => void res.set('Access-Control-Allow-Methods', 'PATCH').sendStatus(204))

      const answer = await supertest(app)
        .options('/files/a')
        .set('Access-Control-Request-Method', 'PATCH')

      expect(answer.headers['access-control-allow-methods']).toBe('PATCH')
    })

    it('keeps the fields that the app has set', async () => {
      const app = framework()
        .use((_req, res, next) => {
          res.set('X-Request-Id', '7')
          next()
        })
        .use('/files', partialUpload({ storage: memoryStorage() }))

      const answer = await supertest(app).put('/files/a').send('data')

      expect([answer.status, answer.headers['x-request-id']]).toEqual([201, '7'])
    })

    it('that the app has answered meanwhile gets no second answer', async () => {
      const { storage, port, failures } = await serve(framework, {}, (req, res, next) => {
        next()
        if (req.method === 'GET') res.status(503).send('too slow')
      })
      await send(port, 'PUT', 'data')

      const answer = await send(port, 'GET')

      expect([answer.status, answer.body.toString()]).toEqual([503, 'too slow'])
      await expect.poll(() => storage.steps).toContain('close')
      expect([storage.openReaders, failures]).toEqual([0, []])
    })

    it('whose content a parser left in a buffer is read from there', async () => {
      const { storage, url } = await serve(framework, {}, express.raw({ type: () => true }))

      const created = await fetch(url, { method: 'PUT', body: 'data' })
      const emptied = await fetch(url, { method: 'PUT', body: '' })

      expect([created.status, emptied.status]).toEqual([201, 204])
      expect((await storage.head('a'))?.size).toBe(0)
    })

    it('over HTTP/1.0 is answered and ends its connection', async () => {
      const { port } = await serve(framework)
      const connection = await open(port)
      const body = message('bytes 0-3/4', 'abcd')

      connection.send(
        `PATCH /files/a HTTP/1.0\r\n${MESSAGE}\r\nContent-Length: ${body.length}\r\n\r\n`,
        body,
      )
      const created = await connection.answer()
      await connection.closed()
      const reader = await open(port)
      reader.send('GET /files/a HTTP/1.0\r\n\r\n')
      const read = await reader.answer()

      expect([created.status, read.body.toString()]).toEqual([201, 'abcd'])
      await reader.closed()
    })
  })

  describe('a hook', () => {
    it('gets the request of the app', async () => {
      const seen: unknown[] = []
      const { url } = await serve(
        framework,
        {
          onCreate: (req: User, { key }) => void seen.push(['create', req.login, key]),
          onComplete: async (req: User, { key }) => void seen.push(['complete', req.login, key]),
        },
        signIn,
      )

      await fetch(url, { method: 'PUT', body: 'data' })

      expect(seen).toEqual([
        ['create', 'ada', 'a'],
        ['complete', 'ada', 'a'],
      ])
    })

    it('sets the final response', async () => {
      const { url } = await serve(framework, {
        onComplete: () => ({ status: 200, headers: { Location: '/b' }, body: { id: 7 } }),
      })

      const answer = await fetch(url, { method: 'PUT', body: 'data' })

      expect([answer.status, answer.headers.get('location')]).toEqual([200, '/b'])
      expect(await answer.json()).toEqual({ id: 7 })
    })

    it.each([undefined, null, 'route', 0])('that throws %s fails', async (thrown) => {
      const { url, failures } = await serve(framework, {
        onCreate: () => {
          throw thrown as unknown as Error
        },
      })

      const answer = await fetch(url, { method: 'PUT', body: 'data' })

      expect(answer.status).toBe(500)
      expect(failures.splice(0)).toEqual([new Error(`the request failed: ${thrown}`)])
    })

    it('of the key that returns nothing fails', async () => {
      const { url, failures } = await serve(framework, { key: () => undefined as unknown as null })

      expect((await fetch(url)).status).toBe(500)
      expect(failures.splice(0)).toEqual([
        new TypeError('key must return a string or null, not undefined'),
      ])
    })

    it.each(['key', 'owner'])(
      'of %s that returns a promise fails, and the promise is handled',
      async (option) => {
        const rejections: unknown[] = []
        const listener = (reason: unknown): void => void rejections.push(reason)
        process.on('unhandledRejection', listener)
        const { url, failures } = await serve(framework, {
          [option]: () => Promise.reject(new Error('no database')),
        })

        const answer = await fetch(url)
        process.off('unhandledRejection', listener)

        expect(answer.status).toBe(500)
        expect(failures.splice(0)).toEqual([
          new TypeError(`${option} must return a string or null, not a promise`),
        ])
        expect(rejections).toEqual([])
      },
    )

    it('that makes a response which cannot be sent fails', async () => {
      const { url, failures } = await serve(framework, {
        onComplete: () => ({ headers: { Location: 'a\nb' } }),
      })

      const answer = await fetch(url, { method: 'PUT', body: 'data' })

      expect(answer.status).toBe(500)
      expect(failures.splice(0)).toMatchObject([{ code: 'ERR_INVALID_CHAR' }])
    })
  })

  describe('a storage that fails', () => {
    const failure = new Error('the disk is broken')

    it.each<readonly [step: Step, method: string]>([
      ['head', 'HEAD'],
      ['openReader', 'GET'],
      ['openWriter', 'PATCH'],
      ['write', 'PATCH'],
      ['commit', 'PATCH'],
      ['keep', 'PATCH'],
      ['rollback', 'PATCH'],
      ['remove', 'DELETE'],
    ])(
      'in %s during a %s passes its error to the app, and blocks no other request',
      async (step, method) => {
        const { storage, port, failures } = await serve(framework, { lockTimeout: 100 })
        await send(port, 'PATCH', message('bytes 0-3/10', 'abcd'))
        if (step === 'keep') storage.fail('write', new Error('first'))
        storage.fail(step, failure)

        const repeated = step === 'rollback' ? message('bytes 0-3/10', 'abcd') : null
        const body = repeated ?? message('bytes 4-9/10', 'efghij')
        const answer = await send(port, method, method === 'PATCH' ? body : '')

        expect(answer.status).toBe(500)
        expect(failures.splice(0)).toEqual([failure])
        expect((await send(port, 'PATCH', message('bytes 0-0/10', 'X'))).status).toBeLessThan(300)
      },
    )

    it('with ERR_STORAGE_FULL is reported to the client', async () => {
      const { storage, port, failures } = await serve(framework)
      storage.fail('write', new UploadError('ERR_STORAGE_FULL', { detail: 'no room' }))

      const answer = await send(port, 'PATCH', message('bytes 0-3/10', 'abcd'))

      expect([answer.status, failures]).toEqual([507, []])
    })

    it('after a GET was started aborts the answer', async () => {
      const { storage, port, url, failures } = await serve(framework)
      await fetch(url, { method: 'PUT', body: 'x'.repeat(200_000) })
      storage.next('send', () => storage.fail('send', failure))
      const connection = await open(port)

      connection.send(request('GET', '/files/a'))

      expect(await connection.answerOrClose()).toBeNull()
      expect([storage.openReaders, failures]).toEqual([0, []])
    })

    it('before the answer to a GET leaves the answer to the app', async () => {
      const { storage, port, url, failures } = await serve(framework)
      await fetch(url, { method: 'PUT', body: 'data' })
      storage.fail('send', failure)

      const answer = await send(port, 'GET')

      expect([answer.status, field(answer, 'etag')]).toEqual([500, null])
      expect(failures.splice(0)).toEqual([failure])
      expect(storage.openReaders).toBe(0)
    })

    it('during a large upload leaves the connection usable or closed', async () => {
      const { storage, port, failures } = await serve(framework)
      const connection = await open(port)
      const writing = storage.pause('write')
      connection.send(
        request('PATCH', '/files/a', [MESSAGE, CHUNKED]),
        chunk(message(`bytes 0-${4 * MIB - 1}/${4 * MIB}`, '')),
        chunk(Buffer.alloc(4 * MIB)),
        '0\r\n\r\n',
        request('HEAD', '/files/b'),
      )

      const { proceed } = await writing
      storage.fail('keep', failure)
      storage.fail('write', failure)
      proceed()

      const [first, second] = [
        await connection.answerOrClose(),
        await connection.answerOrClose('HEAD'),
      ]
      expect([500, undefined]).toContain(first?.status)
      expect([404, undefined]).toContain(second?.status)
      expect(failures.splice(0)).toEqual([failure])
    })
  })

  describe('a client that disconnects', () => {
    it.each<readonly [step: Step, given: string | null, range: string, data: string]>([
      ['head', null, 'bytes 0-3/10', 'abcd'],
      ['openWriter', null, 'bytes 0-3/10', 'abcd'],
      ['write', null, 'bytes 0-3/10', 'abcd'],
      ['commit', null, 'bytes 0-3/10', 'abcd'],
      ['commit', null, 'bytes 0-3/4', 'abcd'],
      ['read', 'bytes 0-3/10', 'bytes 0-5/10', 'abcdef'],
      ['rollback', 'bytes 0-3/10', 'bytes 0-3/10', 'abcd'],
    ])('during %s leaves no reader or writer open', async (step, given, range, data) => {
      const { storage, port, failures } = await serve(framework, { lockTimeout: 100 })
      if (given !== null) await send(port, 'PATCH', message(given, 'abcd'))
      const connection = await open(port)
      const reached = storage.pause(step)
      const condition = step === 'head' ? ['If-None-Match: "x"'] : []

      connection.send(request('PATCH', '/files/a', [MESSAGE, ...condition], message(range, data)))
      const { proceed } = await reached
      connection.socket.resetAndDestroy()
      proceed()

      await untilIdle(storage, port)
      expect(failures).toEqual([])
    })

    it.each([
      ['before its header', ''],
      ['in its header', 'Content-Range: by'],
      ['before its data', 'Content-Range: bytes 0-9/10\r\n\r\n'],
      ['in its data', 'Content-Range: bytes 0-9/10\r\n\r\nabc'],
      ['after its data', 'Content-Range: bytes 0-9/10\r\n\r\nabcdefghij'],
    ])('%s leaves no reader or writer open', async (_when, content) => {
      const { storage, port, failures, arrived } = await serve(framework, { lockTimeout: 100 })
      const connection = await open(port)

      connection.send(request('PATCH', '/files/a', [MESSAGE, CHUNKED]), chunk(content))
      await arrived()
      connection.socket.destroy()

      await untilIdle(storage, port)
      expect(failures).toEqual([])
    })

    it('while onComplete runs leaves the upload finished', async () => {
      let proceed = (): void => undefined
      const looking = new Promise<void>((resolve) => {
        proceed = resolve
      })
      const onComplete = vi.fn<() => Promise<void>>(() => looking)
      const { storage, port, failures } = await serve(framework, { onComplete })
      const connection = await open(port)
      connection.send(request('PUT', '/files/a', [], 'data'))
      await expect.poll(() => onComplete.mock.calls).toHaveLength(1)

      connection.socket.resetAndDestroy()
      proceed()

      await expect.poll(async () => (await storage.head('a'))?.complete).toBe(true)
      expect([storage.openWriters, failures]).toEqual([0, []])
    })

    it('while it waits for the lock does not delay the next request', async () => {
      const { storage, port, failures } = await serve(framework, { lockTimeout: 5000 })
      const writing = storage.pause('write')
      const first = send(port, 'PATCH', message('bytes 0-3/10', 'abcd'))
      const { proceed } = await writing
      const second = await open(port)
      second.send(request('PATCH', '/files/a', [MESSAGE, 'Content-Length: 99'], 'Content-'))
      const third = send(port, 'PATCH', message('bytes 4-5/10', 'ef'))

      second.socket.destroy()
      proceed()

      expect([(await first).status, (await third).status]).toEqual([202, 202])
      expect([storage.openWriters, failures]).toEqual([0, []])
    })

    it.each<Step>(['openReader', 'send'])('during %s closes the reader', async (step) => {
      const { storage, port, url, failures } = await serve(framework)
      await fetch(url, { method: 'PUT', body: 'x'.repeat(200_000) })
      const connection = await open(port)
      const reached = storage.pause(step)
      connection.send(request('GET', '/files/a'))
      const { proceed } = await reached

      connection.socket.resetAndDestroy()
      await expect.poll(() => connection.isOpen).toBe(false)
      proceed()

      await expect.poll(() => storage.steps).toContain('close')
      expect([storage.openReaders, failures]).toEqual([0, []])
    })
  })
})

describe('two middlewares over one storage', () => {
  it('do not write to one resource at the same time', async () => {
    const storage = new WatchedStorage()
    const app = express()
      .use('/files', partialUpload({ storage, lockTimeout: 100 }))
      .use('/again', partialUpload({ storage, lockTimeout: 100 }))
    const { port } = await listen(app)
    const writing = storage.pause('write')
    const first = send(port, 'PUT', 'first')
    const { proceed } = await writing

    const second = await fetch(`http://127.0.0.1:${port}/again/a`, {
      method: 'PUT',
      body: 'second',
    })
    proceed()

    expect([(await first).status, second.status]).toEqual([201, 409])
  })
})

describe('a large upload', () => {
  it('to a slow storage keeps memory flat', async () => {
    const size = 256 * MIB
    const storage = new SlowSink()
    const app = express().use('/files', partialUpload({ storage }))
    const { connection } = await listen(app)
    const piece = Buffer.alloc(MIB)
    const before = process.memoryUsage().rss
    let highest = before

    const head = message(`bytes 0-${size - 1}/${size}`, '')
    connection.send(
      request('PATCH', '/files/a', [MESSAGE, `Content-Length: ${head.length + size}`]),
      head,
    )
    for (let sent = 0; sent < size; sent += MIB) {
      if (!connection.socket.write(piece)) await once(connection.socket, 'drain')
      highest = Math.max(highest, process.memoryUsage().rss)
    }

    expect((await connection.answer()).status).toBe(201)
    expect(storage.size).toBe(size)
    expect(storage.largest).toBeLessThan(5 * MIB)
    expect((highest - before) / MIB).toBeLessThan(96)
  }, 30_000)
})

/** A storage whose writes are slow, and which discards the bytes. */
class SlowSink implements StorageAdapter {
  size = 0
  /** Bytes of the largest write. */
  largest = 0

  head() {
    return Promise.resolve(null)
  }
  openReader() {
    return Promise.resolve(null)
  }
  remove() {
    return Promise.resolve(false)
  }
  async openWriter(): Promise<Writer> {
    return {
      base: null,
      transaction: 'persist',
      write: async (_position, chunks) => {
        const size = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
        this.size += size
        this.largest = Math.max(this.largest, size)
        await new Promise((resolve) => {
          setTimeout(resolve, 2)
        })
      },
      truncate: () => Promise.resolve(),
      async *read() {},
      commit: (state) =>
        Promise.resolve({ ...state, size: this.size, etag: '"1"', lastModified: new Date() }),
      keep: () => Promise.resolve(),
      rollback: () => Promise.resolve(),
    }
  }
}

const { servers, connections } = closedAfterEach()

/** An app with the middleware at `/files` over a watched storage, and one resource in mind. */
async function serve(
  framework: typeof express,
  options: Options = {},
  earlier: express.RequestHandler = (_req, _res, next) => next(),
) {
  const storage = new WatchedStorage()
  const failures: unknown[] = []
  const onError: express.ErrorRequestHandler = (error: unknown, _req, res, _next) => {
    failures.push(error)
    res.status(500).end()
  }
  const requests: IncomingMessage[] = []
  const app = framework()
  app.use((req, _res, next) => {
    requests.push(req)
    next()
  })
  app.use(earlier).use('/files', partialUpload({ storage, ...options }), onError)
  const { port } = await listen(app)
  return {
    storage,
    failures,
    port,
    url: `http://127.0.0.1:${port}/files/a`,
    arrived: async () => {
      await expect.poll(() => requests.length).toBeGreaterThan(0)
    },
  }
}

async function listen(app: Express) {
  const server = prepareServer(http.createServer(app))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, connection: await open(port) }
}

async function open(port: number): Promise<Connection> {
  const connection = await Connection.open(port)
  connections.push(connection)
  return connection
}

async function send(port: number, method: string, body: Uint8Array | string = '') {
  const connection = await open(port)
  const fields = method === 'PATCH' ? [MESSAGE] : []
  return connection.send(request(method, '/files/a', fields, body)).answer(method)
}

/** Resolves once the lock is free: acquires it without waiting. */
async function untilIdle(storage: WatchedStorage, port: number): Promise<void> {
  await vi.waitFor(async () => {
    const { status } = await send(port, 'PUT', 'data')
    expect([201, 204]).toContain(status)
    expect(storage.openWriters).toBe(0)
  }, 20_000)
}

function signIn(req: User, _res: unknown, next: () => void): void {
  req.login = 'ada'
  next()
}
