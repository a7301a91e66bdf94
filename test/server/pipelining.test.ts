/** Requests that a client sends before it has the answers to earlier ones. */
import { once } from 'node:events'
import http from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { describe, expect, it } from 'vitest'

import { closedAfterEach } from '../support/listening.ts'
import { Connection, MESSAGE, message, request } from '../support/wire/client.ts'

const { servers, connections } = closedAfterEach()

/** A long request, so that one read of the parser has only a few. */
const HEAD = request('HEAD', '/files/a', [`X-Padding: ${'x'.repeat(600)}`])
/** Size of one read of the parser, in bytes. */
const READ_SIZE = 64 * 1024

describe('a client that pipelines requests behind a slow one', () => {
  it('has no more than one read buffered, and gets every answer', async () => {
    const held = gate()
    const { port, sockets, seen } = await serve(() => held.opened)
    const socket = connect({ port, host: '127.0.0.1' })
    await once(socket, 'connect')
    const answered = countAnswers(socket)
    const upload = request('PATCH', '/files/a', [MESSAGE], message('bytes 0-4/5', 'hello'))
    const times = 500

    socket.write(upload)
    socket.write(Buffer.concat(Array.from({ length: times }, () => HEAD)))
    await expect.poll(() => sockets[0]?.isPaused()).toBe(true)

    expect(seen.count).toBeLessThan(READ_SIZE / HEAD.byteLength + 100)
    held.open()
    await answered(times + 1)
    expect(seen.count).toBe(times + 1)
    socket.destroy()
  })

  it('is read for the content of its current request', async () => {
    const held = gate()
    const { port, sockets } = await serve(() => held.opened)
    const connection = await Connection.open(port)
    connections.push(connection)
    const content = Buffer.alloc(8 * READ_SIZE, 'x')
    const range = `bytes 0-${content.byteLength - 1}/${content.byteLength}`

    connection.send(request('PATCH', '/files/a', [MESSAGE], message('bytes 0-4/5', 'hello')))
    for (let times = 0; times < 40; times += 1) connection.send(HEAD)
    connection.send(request('PATCH', '/files/b', [MESSAGE], message(range, content)))
    connection.send(HEAD)
    await expect.poll(() => sockets[0]?.isPaused()).toBe(true)
    held.open()

    expect((await connection.answer('PATCH')).status).toBe(201)
    for (let times = 0; times < 40; times += 1) {
      expect((await connection.answer('HEAD')).status).toBe(200)
    }
    expect((await connection.answer('PATCH')).status).toBe(201)
    expect((await connection.answer('HEAD')).status).toBe(200)
  })
})

async function serve(onComplete: () => Promise<void>) {
  const seen = { count: 0 }
  const sockets: Socket[] = []
  const app = express()
  app.use((_req, _res, next) => {
    seen.count += 1
    next()
  })
  app.use('/files', partialUpload({ storage: memoryStorage(), onComplete }))
  const server = prepareServer(http.createServer(app))
  server.on('connection', (socket) => sockets.push(socket))
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, sockets, seen }
}

/** Resolves once this number of answers without content has arrived. */
function countAnswers(socket: Socket): (expected: number) => Promise<void> {
  let count = 0
  let tail = ''
  let onAnswer = (): void => undefined
  socket.on('data', (bytes) => {
    const parts = (tail + bytes.toString('latin1')).split('\r\n\r\n')
    tail = parts.pop() ?? ''
    count += parts.length
    onAnswer()
  })
  return (expected) =>
    new Promise((resolve) => {
      onAnswer = () => {
        if (count >= expected) resolve()
      }
      onAnswer()
    })
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}
