import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'

import { describe, expect, it } from 'vitest'

import type { LingerLimits } from '../../src/server/lingering-close.ts'
import { linger, lingerOnStream } from '../../src/server/lingering-close.ts'
import { closedAfterEach } from '../support/listening.ts'
import { CHUNKED, Connection, chunk, request } from '../support/wire/client.ts'
import { Http2Peer } from '../support/wire/http2-client.ts'

const { servers, connections } = closedAfterEach()
const MIB = 1024 * 1024
const NEVER: LingerLimits = { time: 3_600_000, silence: 3_600_000 }
const LONG = `Content-Length: ${64 * MIB}`
/** Less than 1 MiB, so that the server keeps the connection. */
const SHORT = 'Content-Length: 1000'

/**
 * Sends the head of a request to a server that answers at once; `lingered` settles with the wait.
 */
async function refused(fields: readonly string[], limits: LingerLimits) {
  const server = http.createServer()
  servers.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  const connection = await Connection.open((server.address() as AddressInfo).port)
  connections.push(connection)
  const arrived = once(server, 'request') as Promise<[http.IncomingMessage, http.ServerResponse]>
  connection.send(request('PUT', '/', fields))
  const [req, res] = await arrived
  res.writeHead(409, { 'Content-Length': 2 }).write('no')
  const lingered = linger(req, limits).then(() => res.end())
  return { connection, lingered }
}

describe('unread content of an HTTP/2 stream', () => {
  it.each([
    ['is silent', { ...NEVER, silence: 50 }],
    ['lasts too long', { ...NEVER, time: 50 }],
  ])('is refused without an error when the client %s after the answer', async (_why, limits) => {
    const server = http2.createServer((req, res) => {
      res.end('no')
      void lingerOnStream(req, res.stream, limits)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const peer = await Http2Peer.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)

    peer.send(request('PUT', '/', [CHUNKED]), chunk('begin'))
    const answer = await peer.answer('PUT')
    await peer.closed()

    expect([answer.body.toString(), peer.stream.rstCode, peer.isOpen]).toEqual(['no', 0, true])
    peer.destroy()
    server.close()
  })
})

describe('unread content', () => {
  it.each([[LONG], [CHUNKED]])('is discarded completely before the close: %s', async (length) => {
    const { connection, lingered } = await refused([length], NEVER)
    const block = Buffer.alloc(MIB)
    connection.socket.pause()

    for (let sent = 0; sent < 64; sent += 1) {
      const piece = length === CHUNKED ? chunk(block) : block
      if (!connection.socket.write(piece)) await once(connection.socket, 'drain')
    }
    if (length === CHUNKED) connection.send('0\r\n\r\n')
    await lingered
    connection.socket.resume()

    expect((await connection.answer()).status).toBe(409)
    await connection.closed()
  })

  it('is discarded while the client already sees the end of the answers', async () => {
    const { connection, lingered } = await refused([LONG], NEVER)

    await once(connection.socket, 'end')
    for (let sent = 0; sent < 64; sent += 1) connection.send(Buffer.alloc(MIB))

    await expect(lingered).resolves.toBeDefined()
    expect((await connection.answer()).status).toBe(409)
  })

  it('leaves the connection open when it is short', async () => {
    const { connection, lingered } = await refused([SHORT], NEVER)

    connection.send('x'.repeat(1000))
    await lingered

    expect((await connection.answer()).status).toBe(409)
    expect(connection.isOpen).toBe(true)
  })

  it.each([[LONG], [CHUNKED], [SHORT]])('ends with the connection: %s', async (length) => {
    const { connection, lingered } = await refused([length], NEVER)

    connection.socket.destroy()

    await expect(lingered).resolves.toBeDefined()
  })

  it.each([[LONG], [CHUNKED], [SHORT]])('is cut when the client is silent: %s', async (length) => {
    const { connection, lingered } = await refused([length], { ...NEVER, silence: 50 })

    await lingered

    expect((await connection.answer()).status).toBe(409)
    await connection.closed()
  })

  it('is cut when it takes too long, even while the client sends', async () => {
    const { connection, lingered } = await refused([CHUNKED], { ...NEVER, time: 200 })
    const sending = setInterval(() => connection.send(chunk('x')), 10)

    await lingered
    clearInterval(sending)

    expect((await connection.answer()).status).toBe(409)
    await connection.closed()
  })
})
