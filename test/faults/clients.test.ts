/** Clients that stall, vanish or hang up at any place of a request. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  MULTIPART,
  chunk,
  message,
  multipart,
  request,
} from '../support/wire/client.ts'
import type { Connection } from '../support/wire/client.ts'
import {
  FaultServer,
  NO_PROC,
  NO_TRACE,
  newDirectory,
  systemCallRate,
  title,
} from '../support/faults/server.ts'

const IDLE_TIMEOUT = 250

const UPLOAD = request('PATCH', '/files/0', [MESSAGE], message('bytes 4-9/10', 'efghij'))
const CHUNKS = Buffer.concat([
  request('PATCH', '/files/0', [MESSAGE, CHUNKED]),
  ...[message('bytes 4-9/10'), 'ef', 'ghij'].map(chunk),
  Buffer.from('0\r\nX-Trailer: a\r\n\r\n'),
])
const PARTS = request(
  'PATCH',
  '/files/0',
  [MULTIPART],
  multipart(['bytes 0-3/*', 'ABCD'], ['bytes 6-9/*', 'GHIJ']),
)
const PUT = request('PUT', '/files/0', [], 'ABCDEFGHIJ')

type Place = readonly [bytes: Buffer, given: string, last: string, then: string]

/** The state before, the text after which the request stops, and the state afterwards. */
const PLACES: readonly Place[] = [
  [UPLOAD, 'I(4/10)', 'PATCH /files', 'I(4/10)'],
  [UPLOAD, 'I(4/10)', 'Content-Type', 'I(4/10)'],
  [UPLOAD, 'I(4/10)', '\r\n\r\n', 'I(4/10)'],
  [UPLOAD, 'I(4/10)', 'Content-Range: by', 'I(4/10)'],
  [UPLOAD, 'I(4/10)', '4-9/10\r\n\r\n', 'I(4/10)'],
  [UPLOAD, 'I(4/10)', '4-9/10\r\n\r\nef', 'I(6/10)'],
  [CHUNKS, 'I(4/10)', 'chunked\r\n\r\n2', 'I(4/10)'],
  [CHUNKS, 'I(4/10)', '\r\n\r\n\r\n2', 'I(4/10)'],
  [CHUNKS, 'I(4/10)', '2\r\ne', 'I(5/10)'],
  [CHUNKS, 'I(4/10)', '2\r\nef', 'I(6/10)'],
  [CHUNKS, 'I(4/10)', '2\r\nef\r\n', 'I(6/10)'],
  [CHUNKS, 'I(4/10)', 'ghij', 'C(10)'],
  [CHUNKS, 'I(4/10)', 'ghij\r\n0', 'C(10)'],
  [CHUNKS, 'I(4/10)', 'X-Trailer', 'C(10)'],
  [PARTS, 'C(10)', '--SEP\r\nContent-Ra', 'C(10)'],
  [PARTS, 'C(10)', '\r\n\r\nAB', 'C(10)'],
  [PARTS, 'C(10)', 'ABCD\r\n', 'C(10)'],
  [PARTS, 'C(10)', '--SEP\r\nContent-Range: bytes 6', 'C(10)'],
  [PARTS, 'C(10)', 'GHIJ', 'C(10)'],
  [PARTS, 'C(10)', 'GHIJ\r\n--SEP', 'C(10)'],
  [PARTS, 'I(4/10)', 'GHIJ\r\n--SEP', 'I(4/10)'],
  [PUT, 'C(10)', '\r\n\r\nABC', 'C(10)'],
  [PUT, '∅', '\r\n\r\nABC', '∅'],
]

/** The action of the client at that point. */
const FAULTS: readonly (readonly [name: string, end: (connection: Connection) => void])[] = [
  ['closes', (connection) => connection.close()],
  ['half-closes', (connection) => connection.socket.end()],
  ['resets the connection', (connection) => connection.socket.resetAndDestroy()],
  ['stalls', () => {}],
]

/** Makes the resource that a test begins with. */
async function give(server: FaultServer, target: string, state: string): Promise<void> {
  if (state === 'C(10)') await server.patch(target, 'bytes 0-9/10', 'abcdefghij')
  if (state === 'I(4/10)') await server.patch(target, 'bytes 0-3/10', 'abcd')
}

describe.each(FAULTS)('a client that %s', (name, end) => {
  const text = title('anywhere in a request costs nothing that was stored, and no handle', NO_PROC)
  it.skipIf(NO_PROC !== null)(text, async () => {
    const middleware = { idleTimeout: IDLE_TIMEOUT }
    const server = await FaultServer.start({ directory: newDirectory(), middleware })
    await give(server, '/files/other', 'C(10)')
    const handles = server.handles()

    const connections: Connection[] = []
    for (const [index, [bytes, given, last, then]] of PLACES.entries()) {
      await give(server, `/files/${index}`, given)
      const connection = await server.connect()
      const sent = bytes.toString('latin1', 0, bytes.indexOf(last) + last.length)
      connection.send(sent.replace('/files/0', `/files/${index}`))
      if (then !== given && then !== 'C(10)') await server.becomes(`/files/${index}`, then)
      if (then !== given && then === 'C(10)') await server.becomes(`/files/${index}`, 'I(10/10)')
      end(connection)
      connections.push(connection)
    }
    const answers = await Promise.all(
      connections.map(async (connection) => {
        const answer = await connection.answerOrClose()
        await connection.closed()
        connection.socket.destroy()
        return answer?.status
      }),
    )

    // If all data has arrived and only the end of the message is missing, the upload is complete.
    const wanted = PLACES.map(([, given, , then]) =>
      given !== then && then === 'C(10)' ? 201 : 408,
    )
    if (name === 'stalls') expect(answers).toEqual(wanted)
    for (const [index, [, , last, then]] of PLACES.entries()) {
      const target = `/files/${index}`
      await server.becomes(target, then)
      const stored = (await server.send('GET', target)).body.toString()
      const again = await server.patch(target, 'bytes 0-9/10', 'abcdefghij')
      // The first element identifies the row in a failure.
      expect([last, stored, again.status]).toEqual([
        last,
        'abcdefghij'.slice(0, stored.length),
        then === 'C(10)' ? 204 : 201,
      ])
    }
    await server.waitForHandles(handles)
  })
})

/** The requests, each with the state before it, the stored bytes after it, and its status. */
const WHOLE = [
  [UPLOAD, 'I(4/10)', 'abcdefghij', 201],
  [CHUNKS, 'I(4/10)', 'abcdefghij', 201],
  [PARTS, 'C(10)', 'ABCDefGHIJ', 204],
  [PUT, '∅', 'ABCDEFGHIJ', 201],
] as const

it.each(FAULTS.slice(0, 3))(
  'a client that has sent all and %s has changed the resource',
  async (_name, end) => {
    const server = await FaultServer.start({ directory: newDirectory() })

    for (const [index, [bytes, given, then]] of WHOLE.entries()) {
      const target = `/files/${index}`
      await give(server, target, given)
      const connection = await server.connect()
      connection.send(bytes.toString('latin1').replace('/files/0', target))
      // A reset discards bytes that the server has not read, so the test waits until the request is
      // being processed.
      await server.send('OPTIONS', target)
      end(connection)

      await vi.waitFor(async () => {
        const get = await server.send('GET', target)
        expect([get.status, get.body.toString()]).toEqual([200, then])
      }, 20_000)
    }
  },
)

describe('a client that is slow', () => {
  it('may send its content a byte at a time', async () => {
    const idleTimeout = 4 * IDLE_TIMEOUT
    const middleware = { idleTimeout }
    const server = await FaultServer.start({ directory: newDirectory(), middleware })

    const statuses = WHOLE.map(async ([bytes, given], index) => {
      const target = `/files/${index}`
      await give(server, target, given)
      const connection = await server.connect()
      const text = bytes.toString('latin1').replace('/files/0', target)
      const start = text.indexOf('\r\n\r\n') + 4
      connection.send(text.slice(0, start))
      for (const byte of text.slice(start)) {
        // Each pause is shorter than the allowed silence, and all together are twice as long.
        const pause = (2 * idleTimeout) / (text.length - start)
        await new Promise((resolve) => setTimeout(resolve, pause))
        connection.send(byte)
      }
      return (await connection.answer()).status
    })

    expect(await Promise.all(statuses)).toEqual(WHOLE.map(([, , , status]) => status))
  })

  it('makes each byte visible when it arrives', async () => {
    const middleware = { idleTimeout: 10 * IDLE_TIMEOUT }
    const server = await FaultServer.start({ directory: newDirectory(), middleware })
    const connection = await server.connect()
    const bytes = request('PATCH', '/files/0', [MESSAGE], message('bytes 0-9/10', 'abcdefghij'))
    connection.send(bytes.subarray(0, -10))

    for (let size = 1; size < 10; size += 1) {
      connection.send(bytes.subarray(bytes.length - 11 + size, bytes.length - 10 + size))
      await server.becomes('/files/0', `I(${size}/10)`)
    }

    expect((await connection.send('j').answer()).status).toBe(201)
  })

  it.skipIf(NO_PROC !== null)(
    title('in reading an answer is disconnected when it reads nothing', NO_PROC),
    async () => {
      const middleware = { idleTimeout: 4 * IDLE_TIMEOUT }
      const directory = newDirectory()
      writeFileSync(path.join(directory, '0'), Buffer.alloc(20_000_000))
      const server = await FaultServer.start({ directory, middleware })
      await server.send('HEAD', '/files/0')
      const handles = server.handles()

      const readers: Connection[] = []
      for (let count = 0; count < 20; count += 1) {
        const reader = await server.connect()
        reader.socket.pause()
        readers.push(reader.send(request('GET', '/files/0')))
      }
      await vi.waitFor(() => expect(server.handles()).toBeGreaterThanOrEqual(handles + 30), 20_000)

      await server.waitForHandles(handles)
      for (const reader of readers) reader.socket.destroy()
    },
  )
})

it.skipIf(NO_TRACE !== null).each([
  ['the process of the writer', 1, 20],
  ['another process', 2, 150],
])(
  title('a hundred requests that wait for a writer in %s make few system calls', NO_TRACE),
  { timeout: 120_000 },
  async (_where, processes, limit) => {
    const middleware = { lockTimeout: 60_000, idleTimeout: 0 }
    const options = { entry: 'sharing.ts', directory: newDirectory(), middleware }
    const server = await FaultServer.start(options)
    const other = processes === 1 ? server : await FaultServer.start(options)
    for (let count = 0; count < 100; count += 1) {
      const target = `/files/${count}`
      const writer = await server.connect()
      writer.send(request('PATCH', target, [MESSAGE, CHUNKED]))
      writer.send(chunk(message('bytes 0-9/10', 'abcd')))
      await server.becomes(target, 'I(4/10)')
      const newcomer = await other.connect()
      newcomer.send(request('PATCH', target, [MESSAGE], message('bytes 0-0/10', 'A')))
    }
    await other.send('HEAD', '/files/0')

    // Measures for three seconds. A busy machine makes the rate lower, never higher.
    const rate = await systemCallRate(other.pid, 3000)

    expect(rate / 100).toBeLessThan(limit)
  },
)

it.skipIf(NO_PROC !== null)(
  title('a thousand clients that stall do not keep others from uploading', NO_PROC),
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
    await server.waitForHandles(handles + 64)
    expect(await server.state('/files/stalled/999')).toBe('I(3/10)')
    expect(await server.state('/files/stalled/998')).toBe('∅')
  },
)
