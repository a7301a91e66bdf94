import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { ConnectionLostError } from '../../src/protocol/http.ts'
import { IncomingBody } from '../../src/server/request-body.ts'
import { closedAfterEach } from '../support/listening.ts'
import { CHUNKED, Connection, chunk, chunked, request } from '../support/wire/client.ts'

const { servers, connections } = closedAfterEach()
const MIB = 1024 * 1024

describe('a body', () => {
  it('yields all content, and leaves no listener', async () => {
    const { req, body, before } = await receive(
      request('PUT', '/', [CHUNKED], chunked('abc', 'def')),
    )

    expect(await textOf(body)).toBe('abcdef')
    expect(listeners(req)).toEqual(before)
  })

  it('does not read before the first step', async () => {
    const { req, body } = await receive(request('PUT', '/', [], 'abc'))
    const steps = body[Symbol.asyncIterator]()

    expect([req.readableFlowing, req.readableDidRead]).toEqual([null, false])
    expect((await steps.next()).value).toEqual([Buffer.from('abc')])
  })

  it('yields at once what arrived in the meantime', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED]))
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('a'))
    await steps.next()

    connection.send(chunk('b'))
    await once(req, 'data')
    connection.send(chunk('c'))
    await once(req, 'data')

    expect((await steps.next()).value).toEqual([Buffer.from('b'), Buffer.from('c')])
  })

  it('reports its waits for the client, and none for what has arrived', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED]))
    const steps = body[Symbol.asyncIterator]()
    const log: string[] = []
    body.onWait(
      () => log.push('begin'),
      () => log.push('end'),
    )

    const first = steps.next()
    log.push('send')
    connection.send(chunk('a'))
    await first
    log.push('taken')
    connection.send(chunk('b'))
    await once(req, 'data')
    await steps.next()

    expect(log).toEqual(['begin', 'send', 'end', 'taken'])
  })

  it('pauses the client when its share is full, and resumes once a batch is taken', async () => {
    const { connection, req, body } = await receive(
      request('PUT', '/', [`Content-Length: ${32 * MIB}`]),
    )
    const steps = body[Symbol.asyncIterator]()
    connection.send(Buffer.alloc(32 * MIB))
    let size = sizeOf((await steps.next()).value)
    await expect.poll(() => req.isPaused()).toBe(true)

    const second = sizeOf((await steps.next()).value)
    for (size += second; size < 32 * MIB;) size += sizeOf((await steps.next()).value)

    expect(second).toBeLessThan(5 * MIB)
    expect((await steps.next()).done).toBe(true)
  })

  it('counts the overhead of a chunk, so that tiny chunks also pause the client', async () => {
    const tiny = Buffer.from(chunk('x').toString().repeat(100_000))
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED], chunk('a')))
    const steps = body[Symbol.asyncIterator]()
    let size = sizeOf((await steps.next()).value)

    connection.send(tiny, '0\r\n\r\n')

    await expect.poll(() => req.isPaused()).toBe(true)
    for await (const chunks of { [Symbol.asyncIterator]: () => steps }) size += sizeOf(chunks)
    expect(size).toBe(100_001)
  })

  it('joins thousands of tiny chunks', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED], chunk('a')))
    const steps = body[Symbol.asyncIterator]()
    await steps.next()
    connection.send(...Array.from({ length: 5000 }, () => chunk('x')), '0\r\n\r\n')
    await once(req, 'end')

    const { value } = await steps.next()

    expect(value).toEqual([Buffer.alloc(5000, 'x')])
  })

  it('buffers less the more bodies there are, so that all together are bounded', async () => {
    const others = await Promise.all(
      Array.from({ length: 127 }, async () => {
        const other = await receive(request('PUT', '/', ['Content-Length: 1']))
        const rest = other.body[Symbol.asyncIterator]().next()
        return async () => {
          other.connection.send('x')
          await rest
        }
      }),
    )
    const { connection, req, body } = await receive(
      request('PUT', '/', [`Content-Length: ${8 * MIB}`]),
    )
    const steps = body[Symbol.asyncIterator]()
    connection.send(Buffer.alloc(8 * MIB))
    await steps.next()
    await expect.poll(() => req.isPaused()).toBe(true)

    const second = sizeOf((await steps.next()).value)

    expect(second).toBeLessThan(MIB)
    await steps.return?.()
    for (const end of others) await end()
  })

  it('resumes the client when it is left with unread content', async () => {
    const { connection, req, body } = await receive(
      request('PUT', '/', [`Content-Length: ${8 * MIB}`]),
    )
    const steps = body[Symbol.asyncIterator]()
    connection.send(Buffer.alloc(8 * MIB))
    await steps.next()
    await expect.poll(() => req.isPaused()).toBe(true)

    await steps.return?.()

    await once(req, 'end')
    expect(req.complete).toBe(true)
  })

  it('leaves no listener when it is left early', async () => {
    const { connection, req, body, before } = await receive(request('PUT', '/', [CHUNKED]))
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('a'))
    await steps.next()

    await steps.return?.()

    expect(listeners(req)).toEqual(before)
  })

  it.each([
    ['closed', (connection: Connection) => connection.socket.destroy()],
    ['half-closed', (connection: Connection) => connection.socket.end()],
    ['reset', (connection: Connection) => connection.socket.resetAndDestroy()],
  ])('of a connection that is %s ends with what arrived and an error', async (_how, end) => {
    const { connection, req, body, before } = await receive(request('PUT', '/', [CHUNKED]))
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('abc'))
    const first = await steps.next()

    end(connection)

    expect(first.value).toEqual([Buffer.from('abc')])
    await expect(steps.next()).rejects.toBeInstanceOf(ConnectionLostError)
    expect(listeners(req)).toEqual(before)
  })

  it('whose connection was closed before the first step has the bytes that arrived', async () => {
    const { connection, req, body } = await receive(
      request('PUT', '/', ['Content-Length: 4'], 'abc'),
    )
    await expect.poll(() => req.readableLength).toBe(3)
    connection.socket.destroy()
    await closed(req)
    const steps = body[Symbol.asyncIterator]()

    expect((await steps.next()).value).toEqual([Buffer.from('abc')])
    await expect(steps.next()).rejects.toBeInstanceOf(ConnectionLostError)
  })

  it('whose connection was closed after the last byte is complete', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [], 'abc'))
    await expect.poll(() => req.complete).toBe(true)
    connection.socket.destroy()
    await closed(req)

    expect(await textOf(body)).toBe('abc')
  })
})

describe('a body that is stopped', () => {
  const reason = new Error('somebody else writes')

  it('throws the reason in the pending step', async () => {
    const { body, req, before } = await receive(request('PUT', '/', [CHUNKED]))
    const step = body[Symbol.asyncIterator]().next()

    body.stop(reason)

    await expect(step).rejects.toBe(reason)
    expect(listeners(req)).toEqual(before)
  })

  it('yields first what has arrived', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED]))
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('a'))
    await steps.next()
    connection.send(chunk('b'))
    await once(req, 'data')

    body.stop(reason)

    expect((await steps.next()).value).toEqual([Buffer.from('b')])
    await expect(steps.next()).rejects.toBe(reason)
  })

  it('before it is read throws the reason at once', async () => {
    const { body } = await receive(request('PUT', '/', [CHUNKED]))

    body.stop(reason)

    await expect(body[Symbol.asyncIterator]().next()).rejects.toBe(reason)
  })

  it('twice throws the first reason', async () => {
    const { body } = await receive(request('PUT', '/', [CHUNKED]))

    body.stop(reason)
    body.stop(new Error('later'))

    await expect(body[Symbol.asyncIterator]().next()).rejects.toBe(reason)
  })
})

describe('the silence of a client', () => {
  const idle = { code: 'ERR_IDLE', status: 408, headers: { Connection: 'close' } }

  // Sockets measure their own time, so that a slow machine does not count as a silent client.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => vi.useRealTimers())

  it('ends a body after the bytes that arrived', async () => {
    const { connection, body, req, before } = await receive(request('PUT', '/', [CHUNKED]), 60)
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('abc'))

    expect((await steps.next()).value).toEqual([Buffer.from('abc')])
    await Promise.all([expect(steps.next()).rejects.toMatchObject(idle), silence(60)])
    expect(listeners(req)).toEqual(before)
  })

  it('does not count while the content is being stored', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 60)
    const steps = body[Symbol.asyncIterator]()
    connection.send(chunk('abc'))
    await steps.next()

    vi.advanceTimersByTime(150)
    connection.send(chunked('def'))

    expect((await steps.next()).value).toEqual([Buffer.from('def')])
    expect((await steps.next()).done).toBe(true)
  })

  it('does not count between bytes that keep coming', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 60)
    const steps = body[Symbol.asyncIterator]()

    for (const letter of 'abcdef') {
      const step = steps.next()
      await silence(59)
      connection.send(chunk(letter))
      expect((await step).value).toEqual([Buffer.from(letter)])
    }
  })

  it('has no end with a timeout of 0', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 0)
    const text = textOf(body)

    vi.advanceTimersByTime(3_600_000)
    connection.send(chunked('abc'))

    expect(await text).toBe('abc')
  })

  it('ends the reading of a whole body', async () => {
    const { body } = await receive(request('PUT', '/', ['Content-Length: 9'], 'abc'), 60)

    await Promise.all([expect(body.readAll()).rejects.toMatchObject(idle), silence(60)])
  })

  /** Lets this time pass while the body waits for the client. */
  async function silence(milliseconds: number): Promise<void> {
    await expect.poll(() => vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(milliseconds)
  }
})

describe('the rate of a client', () => {
  const slow = { code: 'ERR_TOO_SLOW', status: 408, headers: { Connection: 'close' } }
  const next: express.RequestHandler = (_req, _res, then) => then()
  let now = 0
  let elapsed = 0

  beforeEach(() => {
    elapsed = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
  })
  afterEach(() => vi.restoreAllMocks())

  it('that is too low ends a body after the bytes that arrived', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 0, next, 100)
    const steps = body[Symbol.asyncIterator]()

    for (const second of [15, 30, 45]) {
      expect(await turn(connection, steps, second, 100)).toEqual({ size: 100 })
    }

    expect(await turn(connection, steps, 61, 100)).toEqual({ size: 100 })
    await expect(steps.next()).rejects.toMatchObject(slow)
  })

  it('that is high enough lets a body continue', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 0, next, 100)
    const steps = body[Symbol.asyncIterator]()

    for (const second of [15, 30, 45, 61, 80, 100, 122, 183]) {
      expect(await turn(connection, steps, second, 6200)).toEqual({ size: 6200 })
    }
  })

  it('does not count the time that storing takes', async () => {
    const { connection, body } = await receive(request('PUT', '/', [CHUNKED]), 0, next, 100)
    const steps = body[Symbol.asyncIterator]()

    for (const second of [10, 20, 30]) {
      expect(await turn(connection, steps, second, 1)).toEqual({ size: 1 })
      now += 100_000
    }

    connection.send('0\r\n\r\n')
    expect((await steps.next()).done).toBe(true)
  })

  it('that is too low ends the reading of a whole body', async () => {
    const sent = request('PUT', '/', ['Content-Length: 1000'], 'a')
    const { connection, body, req } = await receive(sent, 0, next, 100)
    const whole = body.readAll()
    await once(req, 'data')

    now += 61_000
    connection.send('a')

    await expect(whole).rejects.toMatchObject(slow)
  })

  /** Waits for the client until the clock is at `second`, when it sends `size` bytes. */
  async function turn(
    connection: Connection,
    steps: AsyncIterator<readonly Uint8Array[], void>,
    second: number,
    size: number,
  ): Promise<{ readonly size: number }> {
    const step = steps.next()
    now += (second - elapsed) * 1000
    elapsed = second
    connection.send(chunk('a'.repeat(size)))
    return { size: sizeOf((await step).value) }
  }
})

describe('a body that is read whole', () => {
  it('does not begin when it was stopped before', async () => {
    const { body, req } = await receive(request('PUT', '/', [], 'abc'))
    const reason = new Error('closing')

    body.stop(reason)

    await expect(body.readAll()).rejects.toBe(reason)
    expect(req.readableDidRead).toBe(false)
  })

  it('returns all bytes', async () => {
    const { connection, body, req, before } = await receive(
      request('PUT', '/', ['Content-Length: 6'], 'abc'),
    )
    const bytes = body.readAll()

    connection.send('def')

    expect(Buffer.from(await bytes).toString()).toBe('abcdef')
    expect(listeners(req)).toEqual(before)
  })

  it('returns no bytes where there are none', async () => {
    const { body } = await receive(request('PUT', '/', ['Content-Length: 0']))

    expect(await body.readAll()).toHaveLength(0)
  })

  it('is empty without a Content-Length', async () => {
    const { body } = await receive(request('PUT', '/'))

    expect(await body.readAll()).toHaveLength(0)
  })

  it('ends with an error when the client disconnects', async () => {
    const { connection, body, req } = await receive(
      request('PUT', '/', ['Content-Length: 9'], 'abc'),
    )
    const bytes = body.readAll()
    await once(req, 'data')

    connection.socket.destroy()

    await expect(bytes).rejects.toBeInstanceOf(ConnectionLostError)
  })

  it('ends with an error when the client had disconnected before', async () => {
    const { connection, body, req } = await receive(
      request('PUT', '/', ['Content-Length: 9'], 'abc'),
    )
    connection.socket.destroy()
    await closed(req)

    await expect(body.readAll()).rejects.toBeInstanceOf(ConnectionLostError)
  })

  it('returns all bytes that arrived before the client disconnected', async () => {
    const { connection, body, req } = await receive(request('PUT', '/', [], 'abc'))
    await expect.poll(() => req.complete).toBe(true)
    connection.socket.destroy()
    await closed(req)

    expect(Buffer.from(await body.readAll()).toString()).toBe('abc')
  })
})

describe('a body that was read before', () => {
  it.each([
    ['Content-Length', request('PUT', '/', [], 'abc'), 'abc'],
    ['chunks', request('PUT', '/', [CHUNKED], chunked('ab', 'c')), 'abc'],
    ['no content', request('PUT', '/', ['Content-Length: 0']), ''],
    ['empty chunks', request('PUT', '/', [CHUNKED], chunked()), ''],
  ])('into a buffer, with %s, is that buffer', async (_how, sent, text) => {
    const { body } = await receive(sent, 1000, express.raw({ type: () => true }))

    expect(await textOf(body)).toBe(text)
  })

  it.each([
    ['a buffer', express.raw({ type: () => true }), 'PUT', 'abc'],
    ['an empty buffer', express.raw({ type: () => true }), 'PUT', ''],
  ])('into %s, is that content when it is read whole', async (_what, parser, method, text) => {
    const sent = request(method, '/', [`Content-Length: ${text.length}`], text)
    const { body } = await receive(sent, 1000, parser)

    expect(Buffer.from(await body.readAll()).toString()).toBe(text)
  })

  it.each([express.text({ type: () => true }), express.json({ type: () => true })])(
    'into anything else is an error with advice',
    async (parser) => {
      const first = await receive(request('PUT', '/', [], '[1]'), 1000, parser)
      const second = await receive(request('PUT', '/', [], '[1]'), 1000, parser)

      await expect(textOf(first.body)).rejects.toThrow('mount it before body parsers')
      await expect(second.body.readAll()).rejects.toThrow('mount it before body parsers')
    },
  )

  it('in part is an error', async () => {
    const { connection, req, body } = await receive(request('PUT', '/', [CHUNKED], chunk('abc')))
    await expect.poll(() => req.readableLength).toBe(3)
    req.read()
    connection.send(chunk('def'))

    await expect(textOf(body)).rejects.toThrow('mount it before body parsers')
  })

  it('as text is an error', async () => {
    const { body } = await receive(request('PUT', '/', [], 'abc'), 1000, (req, _res, next) => {
      req.setEncoding('utf8')
      next()
    })

    await expect(textOf(body)).rejects.toThrow('mount it before body parsers')
  })
})

/** The body of one request, and the listeners that the request had before. */
async function receive(
  sent: Uint8Array,
  idleTimeout = 10_000,
  parser: express.RequestHandler = (_req, _res, next) => next(),
  minRate = 0,
) {
  const app = express()
  const server = http.createServer(app)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const arrived = new Promise<IncomingMessage>((resolve) => {
    app.use(parser, (req) => resolve(req))
  })
  const connection = await Connection.open((server.address() as AddressInfo).port)
  connections.push(connection)
  connection.send(sent)
  const req = await arrived
  return {
    connection,
    req,
    before: listeners(req),
    body: new IncomingBody(req, { idleTimeout, minRate }),
  }
}

function closed(req: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    req.on('close', resolve)
  })
}

function listeners(req: IncomingMessage): Record<string, number> {
  const names = ['data', 'end', 'close', 'error', 'aborted', 'readable', 'pause', 'resume']
  return Object.fromEntries(names.map((name) => [name, req.listenerCount(name)]))
}

async function textOf(body: IncomingBody): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const batch of body) chunks.push(...batch)
  return Buffer.concat(chunks).toString('latin1')
}

function sizeOf(batch: readonly Uint8Array[] | void): number {
  return (batch ?? []).reduce((sum, { byteLength }) => sum + byteLength, 0)
}
