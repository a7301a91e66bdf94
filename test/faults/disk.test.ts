/** Full, read-only and vanished disks under a running server. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it } from 'vitest'

import { MESSAGE, MULTIPART, json, message, multipart, request } from '../support/wire/client.ts'
import {
  FaultServer,
  NO_MOUNT,
  newDirectory,
  newMount,
  pattern,
  remount,
  title,
} from '../support/faults/server.ts'

const MIB = 1024 * 1024

async function get(server: FaultServer, target: string): Promise<Buffer> {
  return (await server.send('GET', target)).body
}

describe.skipIf(NO_MOUNT !== null)(title('on a full disk', NO_MOUNT), () => {
  it('keeps the bytes of a segment that fit, and answers 507 with the received length', async () => {
    const server = await FaultServer.start({ directory: newMount('size=8m') })
    const data = pattern(10 * MIB)
    await server.patch('/files/a', `bytes 0-${MIB - 1}/${data.length}`, data.subarray(0, MIB))

    const answer = await server.patch(
      '/files/a',
      `bytes ${MIB}-${data.length - 1}/${data.length}`,
      data.subarray(MIB),
    )

    const stored = await get(server, '/files/a')
    expect(answer.status).toBe(507)
    expect(stored.length).toBeGreaterThan(7 * MIB)
    expect(stored.equals(data.subarray(0, stored.length))).toBe(true)
    expect(json(answer)).toMatchObject({ received: stored.length, length: data.length })
    expect(await server.state('/files/a')).toBe(`I(${stored.length}/${data.length})`)
  })

  it('counts the bytes of a write that the system has cut short', async () => {
    const server = await FaultServer.start({ directory: newMount('size=128k') })
    const data = pattern(128_000)
    await server.patch('/files/a', 'bytes 0-65535/128000', data.subarray(0, 65_536))

    const answer = await server.patch('/files/a', 'bytes 65536-127999/*', data.subarray(65_536))

    const stored = await get(server, '/files/a')
    expect(answer.status).toBe(507)
    expect(stored.length).toBeGreaterThan(65_536)
    expect(stored.equals(data.subarray(0, stored.length))).toBe(true)
    expect(json(answer)).toMatchObject({ received: stored.length, length: 128_000 })
  })

  it('resumes the upload when there is room again', async () => {
    const directory = newMount('size=4m')
    const server = await FaultServer.start({ directory })
    const data = pattern(6 * MIB)
    const full = await server.patch('/files/a', `bytes 0-${data.length - 1}/${data.length}`, data)
    const received = Number(json(full)['received'])
    remount(directory, 'size=20m')

    const rest = data.subarray(received)
    const answer = await server.patch('/files/a', `bytes ${received}-${data.length - 1}/*`, rest)

    expect([full.status, answer.status]).toEqual([507, 201])
    expect((await get(server, '/files/a')).equals(data)).toBe(true)
  })

  const old = pattern(3 * MIB, 1)
  const next = pattern(3 * MIB, 2)
  it.each([
    ['a PUT', 'PUT', [], next],
    [
      'a patch',
      'PATCH',
      ['Content-Type: message/byteranges'],
      Buffer.concat([
        Buffer.from(`Content-Range: bytes 0-${next.length - 1}/${next.length}\r\n\r\n`),
        next,
      ]),
    ],
    [
      'a multipart patch',
      'PATCH',
      [MULTIPART],
      multipart(['bytes 0-3/*', 'abcd'], [`bytes 8-${next.length - 1}/*`, next.subarray(8)]),
    ],
  ])('keeps the old version when %s does not fit', async (_name, method, fields, body) => {
    const directory = newMount('size=5m')
    const server = await FaultServer.start({ directory })
    await server.send('PUT', '/files/a', [], old)
    const handles = server.handles()

    for (let times = 0; times < 5; times += 1) {
      const answer = await server.send(method, '/files/a', fields, body)

      expect(answer.status).toBe(507)
      expect((await get(server, '/files/a')).equals(old)).toBe(true)
    }

    await server.waitForHandles(handles)
    remount(directory, 'size=20m')
    expect((await server.send(method, '/files/a', fields, body)).status).toBe(204)
  })

  it('answers 507 where no more files can be created', async () => {
    const server = await FaultServer.start({ directory: newMount('nr_inodes=12') })
    const answers: number[] = []
    for (let index = 0; index < 12; index += 1) {
      answers.push((await server.send('PUT', `/files/a/b${index}`, [], 'abc')).status)
    }

    expect([...new Set(answers)]).toEqual([201, 507])
    for (const [index, status] of answers.entries()) {
      expect(await server.state(`/files/a/b${index}`)).toBe(status === 201 ? 'C(3)' : '∅')
    }
    expect((await server.send('DELETE', '/files/a/b0')).status).toBe(204)
    expect((await server.send('PUT', '/files/a/b0', [], 'abc')).status).toBe(201)
  })
})

it.skipIf(NO_MOUNT !== null)(
  title('reads from a directory that is read-only, and writes once it is not', NO_MOUNT),
  async () => {
    const directory = newMount('size=20m')
    const first = await FaultServer.start({ directory })
    await first.send('PUT', '/files/old', [], 'old')
    await first.patch('/files/part', 'bytes 0-2/6', 'abc')
    await first.kill()
    remount(directory, 'ro')
    const server = await FaultServer.start({ directory })

    const answers = [
      await server.send('PUT', '/files/new', [], 'new'),
      await server.send('PUT', '/files/old', [], 'new'),
      await server.patch('/files/old', 'bytes 0-0/*', 'x'),
      await server.patch('/files/part', 'bytes 3-5/6', 'def'),
      await server.send('DELETE', '/files/old'),
      await server.send('DELETE', '/files/part'),
    ]

    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500])
    expect((await get(server, '/files/old')).toString()).toBe('old')
    expect(await server.state('/files/part')).toBe('I(3/6)')
    expect(await server.state('/files/new')).toBe('∅')
    remount(directory, 'rw')
    expect((await server.patch('/files/part', 'bytes 3-5/6', 'def')).status).toBe(201)
    expect((await server.send('DELETE', '/files/old')).status).toBe(204)
  },
)

it.each(['before it is looked at again', 'between its segments'])(
  'answers 500 while the directory is gone, and resumes an upload %s when it is back',
  async (moment) => {
    const directory = path.join(newDirectory(), 'uploads')
    const first = await FaultServer.start({ directory })
    await first.send('PUT', '/files/old', [], 'old')
    await first.patch('/files/part', 'bytes 0-2/6', 'abc')
    const isWaiting = moment === 'between its segments'
    if (!isWaiting) await first.kill()
    const server = isWaiting ? first : await FaultServer.start({ directory })
    expect(await server.state('/files/old')).toBe('C(3)')
    renameSync(directory, `${directory}-away`)

    const answers = [
      await server.send('HEAD', '/files/old'),
      await server.send('GET', '/files/part'),
      await server.patch('/files/part', 'bytes 3-5/6', 'def'),
      await server.send('DELETE', '/files/old'),
      await server.patch('/files/new', 'bytes 0-2/6', 'abc'),
      await server.send('PUT', '/files/new', [], 'abc'),
    ]
    expect(existsSync(directory)).toBe(false)
    renameSync(`${directory}-away`, directory)

    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500])
    expect(await server.state('/files/old')).toBe('C(3)')
    expect(await server.state('/files/part')).toBe('I(3/6)')
    expect((await server.patch('/files/part', 'bytes 3-5/6', 'def')).status).toBe(201)
    expect((await server.send('PUT', '/files/new', [], 'new')).status).toBe(201)
  },
)

describe('in a directory that is replaced by an empty one', () => {
  it.each([
    ['the whole directory', ''],
    ['the hidden folder', '.partial-upload'],
  ])('continues without the resources of the old one: %s', async (_name, part) => {
    const directory = path.join(newDirectory(), 'uploads')
    const server = await FaultServer.start({ directory })
    await server.send('PUT', '/files/old', [], 'old')
    await server.patch('/files/part', 'bytes 0-2/9', 'abc')
    await server.patch('/files/part', 'bytes 3-5/9', 'def')
    const gone = path.join(directory, part)
    rmSync(gone, { recursive: true })
    mkdirSync(gone)
    if (part !== '') rmSync(gone, { recursive: true })

    const states = [await server.state('/files/old'), await server.state('/files/part')]
    const answers = [
      await server.patch('/files/part', 'bytes 6-8/9', 'ghi'),
      await server.send('DELETE', '/files/part'),
      await server.patch('/files/new', 'bytes 0-2/6', 'abc'),
      await server.patch('/files/new', 'bytes 3-5/6', 'def'),
      await server.send('PUT', '/files/x/put', [], 'abc'),
      await server.send('PUT', '/files/old', [], 'new'),
    ]

    const old = part === '' ? '∅' : 'C(3)'
    expect(states).toEqual([old, '∅'])
    const statuses = answers.map(({ status }) => status)
    expect(statuses).toEqual([404, 404, 202, 201, 201, part === '' ? 201 : 204])
    expect((await get(server, '/files/new')).toString()).toBe('abcdef')
    expect((await get(server, '/files/old')).toString()).toBe('new')
  })

  it('acknowledges no bytes that go into a deleted file', async () => {
    const directory = path.join(newDirectory(), 'uploads')
    const server = await FaultServer.start({ directory })
    await server.patch('/files/part', 'bytes 0-2/9', 'abc')
    await server.patch('/files/part', 'bytes 3-5/9', 'def')
    const connection = await server.connect()
    const body = message('bytes 6-8/9', 'ghi')
    connection.send(request('PATCH', '/files/part', [MESSAGE], body).subarray(0, -1))
    await server.becomes('/files/part', 'I(8/9)')
    rmSync(directory, { recursive: true })
    mkdirSync(directory)

    const answer = await connection.send('i').answer()

    expect(answer.status).toBe(409)
    expect(await server.state('/files/part')).toBe('∅')
    expect((await server.patch('/files/part', 'bytes 0-8/9', 'abcdefghi')).status).toBe(201)
  })

  it('finds the uploads of the other one when it comes back', async () => {
    const directory = path.join(newDirectory(), 'uploads')
    const server = await FaultServer.start({ directory })
    await server.patch('/files/part', 'bytes 0-2/9', 'abc')
    await server.patch('/files/part', 'bytes 3-5/9', 'def')
    renameSync(directory, `${directory}-away`)
    mkdirSync(directory)
    const other = await server.patch('/files/part', 'bytes 0-4/9', 'other')
    rmSync(directory, { recursive: true })
    renameSync(`${directory}-away`, directory)

    const answer = await server.patch('/files/part', 'bytes 6-8/9', 'ghi')

    expect([other.status, answer.status]).toEqual([202, 201])
    expect((await get(server, '/files/part')).toString()).toBe('abcdefghi')
  })
})
