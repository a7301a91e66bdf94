/** Clients that stall, vanish or hang up at any place of a request. */
import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, message, multipart, request } from '../wire/client.ts'
import type { Connection } from '../wire/client.ts'
import { FaultServer, NO_PROC, newDirectory, title } from './server.ts'

const IDLE_TIMEOUT = 250

const UPLOAD = request('PATCH', '/files/0', [MESSAGE], message('bytes 4-9/10', 'efghij'))
const PARTS = request(
  'PATCH',
  '/files/0',
  [MULTIPART],
  multipart(['bytes 0-3/*', 'ABCD'], ['bytes 6-9/*', 'GHIJ']),
)
const PUT = request('PUT', '/files/0', [], 'ABCDEFGHIJ')

/** What is there before, where the request stops (after this text), and what is there then. */
const PLACES: readonly (readonly [bytes: Buffer, last: string, then: string])[] = [
  [UPLOAD, 'PATCH /files', 'I(4/10)'],
  [UPLOAD, 'Content-Type', 'I(4/10)'],
  [UPLOAD, '\r\n\r\n', 'I(4/10)'],
  [UPLOAD, 'Content-Range: by', 'I(4/10)'],
  [UPLOAD, '4-9/10\r\n\r\n', 'I(4/10)'],
  [UPLOAD, '4-9/10\r\n\r\nef', 'I(6/10)'],
  [PARTS, '--SEP\r\nContent-Ra', 'C(10)'],
  [PARTS, '\r\n\r\nAB', 'C(10)'],
  [PARTS, 'ABCD\r\n', 'C(10)'],
  [PARTS, 'GHIJ', 'C(10)'],
  [PARTS, 'GHIJ\r\n--SEP', 'C(10)'],
  [PUT, '\r\n\r\nABC', 'C(10)'],
]

/** What the client does there. */
const FAULTS: readonly (readonly [name: string, end: (connection: Connection) => void])[] = [
  ['closes', (connection) => connection.close()],
  ['half-closes', (connection) => connection.socket.end()],
  ['resets the connection', (connection) => connection.socket.resetAndDestroy()],
  ['stalls', () => {}],
]

describe.each(FAULTS)('a client that %s', (name, end) => {
  const text = title('anywhere in a request costs nothing that was stored, and no handle', NO_PROC)
  it.skipIf(NO_PROC !== null)(text, async () => {
    const middleware = { idleTimeout: IDLE_TIMEOUT }
    const server = await FaultServer.start({ directory: newDirectory(), middleware })
    const start = async (then: string, index: number): Promise<void> => {
      const range = then === 'C(10)' ? 'bytes 0-9/10' : 'bytes 0-3/10'
      await server.patch(`/files/${index}`, range, then === 'C(10)' ? 'abcdefghij' : 'abcd')
    }
    await start('C(10)', PLACES.length)
    const handles = server.handles()

    const connections: Connection[] = []
    for (const [index, [bytes, last, then]] of PLACES.entries()) {
      await start(then, index)
      const connection = await server.connect()
      const sent = bytes.toString('latin1', 0, bytes.indexOf(last) + last.length)
      connection.send(sent.replace('/files/0', `/files/${index}`))
      if (then === 'I(6/10)') await server.becomes(`/files/${index}`, then)
      end(connection)
      connections.push(connection)
    }
    const answers = await Promise.all(
      connections.map(async (connection) => {
        const answer = await connection.answerOrClose()
        await connection.closed()
        connection.socket.destroy()
        return answer
      }),
    )

    if (name === 'stalls')
      expect(answers.map((answer) => answer?.status)).toEqual(PLACES.map(() => 408))
    for (const [index, [, last, then]] of PLACES.entries()) {
      const target = `/files/${index}`
      const whole = 'abcdefghij'
      const stored = (await server.send('GET', target)).body.toString()
      expect([await server.state(target), stored], `${name} after ${JSON.stringify(last)}`).toEqual(
        [then, whole.slice(0, stored.length)],
      )
      const again = await server.patch(target, 'bytes 0-9/10', whole)
      expect(again.status).toBe(then === 'C(10)' ? 204 : 201)
    }
    await server.releasesTo(handles)
  })
})

it('lets a client go on that sends a byte at a time', async () => {
  const middleware = { idleTimeout: IDLE_TIMEOUT }
  const server = await FaultServer.start({ directory: newDirectory(), middleware })
  const connection = await server.connect()
  const bytes = request('PATCH', '/files/slow', [MESSAGE], message('bytes 0-9/10', 'abcdefghij'))
  const start = bytes.indexOf('abcdef')
  connection.send(bytes.subarray(0, start))
  for (let size = 1; size < 10; size += 1) {
    connection.send(bytes.subarray(start + size - 1, start + size))
    // Waiting is the subject: together it is longer than the silence that is allowed.
    await new Promise((resolve) => setTimeout(resolve, IDLE_TIMEOUT / 5))
    await server.becomes('/files/slow', `I(${size}/10)`)
  }

  expect((await connection.send('j').answer()).status).toBe(201)
})

it.skipIf(NO_PROC !== null)(
  title('a thousand clients that stall keep no other from uploading', NO_PROC),
  async () => {
    const server = await FaultServer.start({
      directory: newDirectory(),
      middleware: { idleTimeout: 60_000 },
      shell: 'ulimit -n 4096',
    })
    await server.patch('/files/part', 'bytes 0-3/10', 'abcd')
    const handles = server.handles()
    const stalled: Connection[] = []
    for (let index = 0; index < 1000; index += 1) {
      const connection = await server.connect()
      stalled.push(connection)
      const body = message('bytes 0-9/10', index % 2 === 0 ? '' : 'abc')
      const length = `Content-Length: ${body.length + (index % 2 === 0 ? 10 : 7)}`
      connection.send(request('PATCH', `/files/stalled/${index}`, [MESSAGE, length], body))
    }
    await server.becomes('/files/stalled/999', 'I(3/10)')

    const start = performance.now()
    const statuses = [
      (await server.patch('/files/part', 'bytes 4-9/10', 'efghij')).status,
      (await server.send('PUT', '/files/put', [], Buffer.alloc(1_000_000))).status,
      (await server.patch('/files/old', 'bytes 0-9/10', 'abcdefghij')).status,
    ]
    const time = performance.now() - start

    expect(statuses).toEqual([201, 201, 201])
    expect(time).toBeLessThan(2000)
    for (const connection of stalled) connection.socket.resetAndDestroy()
    await server.releasesTo(handles + 64)
    expect(await server.state('/files/stalled/999')).toBe('I(3/10)')
    expect(await server.state('/files/stalled/998')).toBe('∅')
  },
)
