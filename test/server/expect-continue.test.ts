/**
 * `prepareServer`: when the server sends 100 Continue on each route of the app, and the longest
 * time of a request.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { closedAfterEach } from '../support/listening.ts'
import {
  CHUNKED,
  Connection,
  MESSAGE,
  chunk,
  chunked,
  message,
  request,
} from '../support/wire/client.ts'

const EXPECT = 'Expect: 100-continue'
const JSON_TYPE = 'Content-Type: application/json'
const { servers, connections } = closedAfterEach()

describe('prepareServer', () => {
  it('returns the server', () => {
    const server = http.createServer()

    expect(prepareServer(server)).toBe(server)
  })

  it.each([
    ['an Express app', express()],
    ['null', null],
  ])('expects a server, and names what it expects when it gets %s', (_what, value) => {
    expect(() => prepareServer(value as never)).toThrow(
      new TypeError(
        'prepareServer expects a Node server, as http.createServer(app) and app.listen() return it',
      ),
    )
  })

  it('disables requestTimeout of Node, and keeps headersTimeout', () => {
    const server = prepareServer(http.createServer())

    expect(server.requestTimeout).toBe(0)
    expect(server.headersTimeout).toBe(60_000)
  })

  it('works without a middleware that reads the content', async () => {
    const connection = await serve((app) => app.use((_req, res) => void res.sendStatus(404)))

    connection.send(request('POST', '/', [EXPECT, 'Content-Length: 3']))

    expect((await connection.answer()).status).toBe(404)
    expect(connection.interim).toEqual([])
  })
})

describe('a request that expects 100 Continue', () => {
  it('gets it on other routes when a body parser reads', async () => {
    const connection = await serve(addRoutes)
    connection.send(request('POST', '/echo', [EXPECT, JSON_TYPE, 'Content-Length: 7']))

    await connection.continue()
    connection.send('{"a":1}')

    expect((await connection.answer()).body.toString()).toBe('{"a":1}')
  })

  it('gets it on other routes when a handler reads chunks', async () => {
    const connection = await serve(addRoutes)
    connection.send(request('POST', '/raw', [EXPECT, CHUNKED]))

    await connection.continue()
    connection.send(chunked('abc', 'def'))

    expect((await connection.answer()).body.toString()).toBe('abcdef')
  })

  it('does not get it where the app refuses', async () => {
    const connection = await serve(addRoutes)

    connection.send(request('POST', '/refuse', [EXPECT, 'Content-Length: 1000000']))

    expect((await connection.answer()).status).toBe(403)
    expect(connection.interim).toEqual([])
  })

  it('does not get it where the upload is refused', async () => {
    const connection = await serve(addRoutes)
    const fields = [MESSAGE, 'Content-Length: 1000000', 'If-Match: *', EXPECT]

    connection.send(request('PATCH', '/files/a', fields))

    expect((await connection.answer()).status).toBe(412)
    expect(connection.interim).toEqual([])
  })

  it('gets it once, even if the content arrives in pieces', async () => {
    const connection = await serve(addRoutes)
    connection.send(request('PATCH', '/files/a', [MESSAGE, CHUNKED, EXPECT]))
    await connection.continue()

    for (const letter of message('bytes 0-3/4', 'abcd').toString()) connection.send(chunk(letter))
    connection.send('0\r\n\r\n')

    expect((await connection.answer()).status).toBe(201)
    expect(connection.interim).toEqual([])
  })

  it('is answered when it has no content at all', async () => {
    const connection = await serve(addRoutes)

    connection.send(request('PUT', '/files/a', [EXPECT, 'Content-Length: 0']))

    expect((await connection.answer()).status).toBe(201)
  })

  it('is answered when it does not wait', async () => {
    const connection = await serve(addRoutes)
    const body = message('bytes 0-3/4', 'abcd')

    connection.send(request('PATCH', '/files/a', [MESSAGE, EXPECT], body))

    expect((await connection.answer()).status).toBe(201)
  })

  it('is refused when it does not wait', async () => {
    const connection = await serve(addRoutes)
    const body = message('bytes 0-3/4', 'abcd')

    connection.send(request('PATCH', '/files/a', [MESSAGE, EXPECT, 'If-Match: *'], body))

    expect((await connection.answer()).status).toBe(412)
  })

  it('leaves the connection usable', async () => {
    const connection = await serve(addRoutes)
    const body = message('bytes 0-3/4', 'abcd')
    connection.send(
      request('PATCH', '/files/a', [MESSAGE, EXPECT, `Content-Length: ${body.length}`]),
    )
    await connection.continue()

    connection.send(body, request('POST', '/raw', [], 'xyz'))

    expect((await connection.answer()).status).toBe(201)
    expect((await connection.answer()).body.toString()).toBe('xyz')
    expect(connection.isOpen).toBe(true)
  })

  it('with another expectation is refused by Node', async () => {
    const connection = await serve(addRoutes)

    connection.send(request('POST', '/raw', ['Expect: a-miracle'], 'xyz'))

    expect((await connection.answer()).status).toBe(417)
  })
})

async function serve(addTo: (app: express.Express) => unknown): Promise<Connection> {
  const app = express()
  addTo(app)
  const server = prepareServer(http.createServer(app))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = await Connection.open((server.address() as AddressInfo).port)
  connections.push(connection)
  return connection
}

function addRoutes(app: express.Express): void {
  app.use('/files', partialUpload({ storage: memoryStorage() }))
  app.post('/echo', express.json(), (req, res) => void res.json(req.body))
  app.post('/refuse', (_req, res) => void res.sendStatus(403))
  app.post('/raw', (req, res) => {
    const chunks: Uint8Array[] = []
    req.on('data', (piece: Uint8Array) => chunks.push(piece))
    req.on('end', () => res.send(Buffer.concat(chunks)))
  })
}
