import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, describe, expect, it, vi } from 'vitest'

import type { HandlerResponse } from '../../src/protocol/http.ts'
import { sendResponse } from '../../src/server/send-response.ts'
import { Connection, field, request } from '../support/wire/client.ts'

const servers: http.Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

describe('a response', () => {
  it('is sent with its status, fields and content', async () => {
    const { connection } = await exchange({
      status: 202,
      headers: { ETag: '"a"' },
      body: Buffer.from('{}'),
    })

    const answer = await connection.answer()

    expect([answer.status, answer.reason]).toEqual([202, 'Accepted'])
    expect([field(answer, 'etag'), field(answer, 'content-length')]).toEqual(['"a"', '2'])
    expect(answer.body.toString()).toBe('{}')
  })

  it.each([209, 225, 227, 299])('with status %i has a reason phrase', async (status) => {
    const { connection } = await exchange({ status, headers: {}, body: Buffer.from('a') })

    expect((await connection.answer()).reason).toBe('Incomplete Content')
  })

  it('to HEAD has the length of its content without the content', async () => {
    const { connection } = await exchange(
      { status: 409, headers: {}, body: Buffer.from('problem') },
      { method: 'HEAD' },
    )

    const answer = await connection.answer('HEAD')

    expect([answer.status, field(answer, 'content-length')]).toEqual([409, '7'])
    expect(await connection.send(request('HEAD', '/')).answer('HEAD')).toMatchObject({
      status: 409,
    })
  })

  it('keeps fields that the app has set', async () => {
    const { connection } = await exchange(
      { status: 200, headers: { ETag: '"a"' }, body: Buffer.from('a') },
      { before: (res) => res.setHeader('X-App', 'yes') },
    )

    expect(field(await connection.answer(), 'x-app')).toBe('yes')
  })

  it('with content that yields nothing is sent', async () => {
    const content = pieces(0)
    const { connection } = await exchange({
      status: 200,
      headers: { 'Content-Length': '0' },
      body: content.body,
    })

    expect((await connection.answer()).status).toBe(200)
    expect(content.isClosed()).toBe(true)
  })
})

describe('content', () => {
  it('is closed when it has been sent', async () => {
    const content = pieces(3)
    const { connection } = await exchange({
      status: 200,
      headers: { 'Content-Length': '3072' },
      body: content.body,
    })

    expect((await connection.answer()).body).toHaveLength(3072)
    expect(content.isClosed()).toBe(true)
  })

  it('waits for a client that reads slowly', async () => {
    const content = pieces(1024 * 1024)
    const { connection } = await exchange({ status: 200, headers: {}, body: content.body })
    connection.socket.pause()
    await stillness(content.count)

    expect(content.count() * 1024).toBeLessThan(64 * 1024 * 1024)
    const stuckAt = content.count()
    connection.socket.resume()

    await expect.poll(() => content.count()).toBeGreaterThan(stuckAt)
    connection.socket.destroy()
    await expect.poll(() => content.isClosed()).toBe(true)
  })

  it('is closed when the client reads nothing for too long', async () => {
    const content = pieces(1024 * 1024)
    const { connection, sent } = await exchange(
      { status: 200, headers: {}, body: content.body },
      { idleTimeout: 100 },
    )
    connection.socket.pause()

    await sent

    expect(content.isClosed()).toBe(true)
  })

  it('is closed when the client disconnects in the middle', async () => {
    const content = pieces(1024 * 1024)
    const { connection, sent } = await exchange({ status: 200, headers: {}, body: content.body })

    await once(connection.socket, 'data')
    connection.socket.destroy()

    await expect(sent).resolves.toBeUndefined()
    expect(content.isClosed()).toBe(true)
  })

  it('is closed when the client has disconnected before it could be sent', async () => {
    const content = pieces(3)
    const { connection, sent } = await exchange(
      { status: 200, headers: {}, body: content.body },
      { until: (res) => once(res, 'close') },
    )

    connection.socket.destroy()

    await expect(sent).resolves.toBeUndefined()
    expect(content.isClosed()).toBe(true)
  })

  it('is closed when the app has answered already', async () => {
    const content = pieces(3)
    const { connection, sent } = await exchange(
      { status: 200, headers: {}, body: content.body },
      { before: (res) => res.writeHead(503, { 'Content-Length': 0 }).end() },
    )

    expect((await connection.answer()).status).toBe(503)
    await expect(sent).resolves.toBeUndefined()
    expect(content.isClosed()).toBe(true)
  })

  it('is closed when the app has begun to answer', async () => {
    const content = pieces(3)
    const { sent } = await exchange(
      { status: 200, headers: { ETag: '"a"' }, body: content.body },
      { before: (res) => res.flushHeaders() },
    )

    await expect(sent).rejects.toMatchObject({ code: 'ERR_HTTP_HEADERS_SENT' })
    expect(content.isClosed()).toBe(true)
  })

  it('that fails at once leaves the response to the error', async () => {
    const failure = new Error('the disk is broken')
    const { sent, response } = await exchange({
      status: 299,
      headers: { ETag: '"a"', 'Content-Length': '10' },
      body: failing(failure),
    })

    await expect(sent).rejects.toBe(failure)
    expect(response().headersSent).toBe(false)
    expect(response().getHeaders()).toEqual({})
    expect([response().statusCode, response().statusMessage]).toEqual([200, undefined])
  })

  it.each([
    ['less', '4096'],
    ['more', '1024'],
  ])('of %s bytes than announced is an error', async (_what, length) => {
    const content = pieces(2)
    const { sent } = await exchange({
      status: 200,
      headers: { 'Content-Length': length },
      body: content.body,
    })

    await expect(sent).rejects.toThrow(`bytes of content; expected ${length}`)
    expect(content.isClosed()).toBe(true)
  })
})

describe('a request with unread content', () => {
  it('is discarded when it is small, and the connection stays usable', async () => {
    const { connection } = await exchange(
      { status: 409, headers: {}, body: Buffer.from('no') },
      { method: 'PUT', fields: ['Content-Length: 1000'] },
    )

    connection.send('x'.repeat(1000), request('GET', '/'))

    expect([(await connection.answer()).status, (await connection.answer()).status]).toEqual([
      409, 409,
    ])
    expect(connection.isOpen).toBe(true)
  })

  it('is answered before the rest has come', async () => {
    const { connection } = await exchange(
      { status: 409, headers: {}, body: Buffer.from('no') },
      { method: 'PUT', fields: ['Content-Length: 1000'] },
    )

    expect((await connection.answer()).body.toString()).toBe('no')
  })

  it('closes the connection when its content is large', async () => {
    const { connection } = await exchange(
      { status: 409, headers: {}, body: Buffer.from('no') },
      { method: 'PUT', fields: ['Content-Length: 10000000'] },
    )

    const answer = await connection.answer()

    expect([answer.status, field(answer, 'connection')]).toEqual([409, 'close'])
    await connection.closed()
  })

  it('closes the connection when its content does not end', async () => {
    const { connection } = await exchange(
      { status: 409, headers: {}, body: Buffer.from('no') },
      { method: 'PUT', fields: ['Transfer-Encoding: chunked'] },
    )
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n`)

    for (let count = 0; count < 20; count++) connection.send(chunk)

    expect((await connection.answer()).status).toBe(409)
    await connection.closed()
  })
})

interface Exchange {
  readonly method?: string
  readonly fields?: readonly string[]
  readonly before?: (res: ServerResponse) => unknown
  readonly until?: (res: ServerResponse) => Promise<unknown>
  readonly idleTimeout?: number
}

/** Sends one request, which gets the response. */
async function exchange(
  response: HandlerResponse,
  { method = 'GET', fields = [], before, until, idleTimeout = 0 }: Exchange = {},
) {
  const responses: ServerResponse[] = []
  let sending: Promise<void> = Promise.resolve()
  const server = http.createServer((req: IncomingMessage, res: ServerResponse) => {
    responses.push(res)
    before?.(res)
    sending = Promise.resolve(until?.(res)).then(() =>
      sendResponse(req, res, response, idleTimeout),
    )
    sending.catch(() => undefined)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = await Connection.open((server.address() as AddressInfo).port)
  const arrived = once(server, 'request')
  connection.send(request(method, '/', fields))
  await arrived
  return {
    connection,
    sent: sending,
    response: () => responses[0] as ServerResponse,
  }
}

/** Yields this number of pieces of 1 KiB. */
function pieces(count: number) {
  let given = 0
  let closed = false
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (given < count) {
        given += 1
        yield Buffer.alloc(1024)
      }
    } finally {
      closed = true
    }
  }
  // The generator starts when it is read, as the content of a GET does.
  let isOpened = false
  const iterable = {
    [Symbol.asyncIterator]() {
      isOpened = true
      return body()
    },
  }
  return { body: iterable, count: () => given, isClosed: () => isOpened && closed }
}

function failing(error: Error): AsyncIterable<Uint8Array> {
  const next = async (): Promise<never> => {
    throw error
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

/** Resolves once the count no longer changes. */
async function stillness(count: () => number): Promise<void> {
  let last = -1
  await vi.waitFor(
    () => {
      const now = count()
      const isStill = now === last
      last = now
      expect(isStill).toBe(true)
    },
    { timeout: 20_000, interval: 100 },
  )
}
