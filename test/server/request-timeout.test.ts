/** The time limit of requests on a prepared server, and the uploads that are exempt from it. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { closedAfterEach } from '../support/listening.ts'
import { CHUNKED, Connection, MESSAGE, message, request } from '../support/wire/client.ts'

const { servers, connections } = closedAfterEach()

const TIMEOUT = 300
const UPLOAD = message('bytes 0-4/5', 'hello')

describe('content that is sent too slowly', () => {
  it.each([
    ['another route', 'POST', '/other', 'Content-Length: 10'],
    ['another route in chunks', 'POST', '/other', CHUNKED],
    ['the mount itself', 'POST', '/files', 'Content-Length: 10'],
    ['a resource with a method that has no content', 'GET', '/files/a', 'Content-Length: 10'],
    ['a resource that the app handles', 'PATCH', '/files/passed-on', 'Content-Length: 10'],
  ])('to %s ends with 408', async (_target, method, path, field) => {
    const { port } = await serve()
    const client = await connect(port)

    client.send(request(method, path, [MESSAGE, field], ''))
    const answer = await client.answerOrClose(method)
    await client.closed()

    if (method !== 'GET') expect(answer?.status).toBe(408)
  })

  it('is reported as Node does', async () => {
    const { port, server } = await serve()
    const errors: unknown[] = []
    server.on('clientError', (error, socket) => {
      errors.push(error)
      socket.destroy()
    })
    const client = await connect(port)

    client.send(request('POST', '/other', ['Content-Length: 10']))
    await client.closed()

    expect(errors).toMatchObject([{ code: 'ERR_HTTP_REQUEST_TIMEOUT' }])
  })

  it('ends nothing where the server has no limit', async () => {
    const { port } = await serve({ requestTimeout: 0, headersTimeout: 0 })
    const limited = await serve()
    const client = await connect(port)

    client.send(request('POST', '/echo', ['Content-Length: 5'], 'he'))
    await timeOut(limited.port)

    expect((await client.send('llo').answer('POST')).body.toString()).toBe('hello')
  })
})

describe('an upload that takes longer than other requests may', () => {
  it('is read to its end', async () => {
    const { port } = await serve()
    const client = await connect(port)
    const length = `Content-Length: ${UPLOAD.byteLength}`

    client.send(request('PATCH', '/files/a', [MESSAGE, length], UPLOAD.subarray(0, -3)))
    await timeOut(port)
    client.send(UPLOAD.subarray(-3, -1))
    await timeOut(port)

    expect((await client.send(UPLOAD.subarray(-1)).answer('PATCH')).status).toBe(201)
  })

  it('does not end with the request that waits behind it', async () => {
    let finish = (): void => undefined
    const hook = new Promise<void>((resolve) => (finish = resolve))
    const { port } = await serve({}, () => hook)
    const client = await connect(port)
    const length = `Content-Length: ${UPLOAD.byteLength}`

    client.send(request('PATCH', '/files/a', [MESSAGE], UPLOAD))
    client.send(request('PATCH', '/files/b', [MESSAGE, length], UPLOAD.subarray(0, -1)))
    await timeOut(port)
    await timeOut(port)
    finish()

    expect((await client.answer('PATCH')).status).toBe(201)
    expect((await client.send(UPLOAD.subarray(-1)).answer('PATCH')).status).toBe(201)
  })
})

it('a header section that is sent too slowly still ends with 408', async () => {
  const { port } = await serve({ headersTimeout: TIMEOUT, connectionsCheckingInterval: 50 })
  const client = await connect(port)

  client.send('PATCH /files/a HTTP/1.1\r\nHost: test\r\n')

  expect((await client.answer()).status).toBe(408)
})

/** Resolves when a slow request to another route has been ended. */
async function timeOut(port: number): Promise<void> {
  const client = await connect(port)
  client.send(request('POST', '/other', ['Content-Length: 10']))
  await client.closed()
}

async function connect(port: number): Promise<Connection> {
  const connection = await Connection.open(port)
  connections.push(connection)
  return connection
}

async function serve(
  options: http.ServerOptions = {},
  onComplete: () => Promise<void> = async () => undefined,
) {
  const app = express()
  app.use(
    '/files',
    partialUpload({
      storage: memoryStorage(),
      key: (_req, path) => (path === 'passed-on' ? null : path),
      onComplete,
    }),
  )
  app.post('/echo', express.text({ type: () => true }), (req, res) => void res.send(req.body))
  const limits = { requestTimeout: TIMEOUT, ...options }
  const server = prepareServer(http.createServer(limits, app))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, server }
}
