/** Disks that accept no further bytes: full, remounted read-only, or with a limited file size. */
import { readdirSync, rmSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { json } from '../support/wire/client.ts'
import { Disk, FILE_SYSTEMS, noPowerCut } from '../support/faults/power-disk.ts'
import {
  FaultServer,
  NO_MOUNT,
  newDirectory,
  newMount,
  pattern,
  title,
} from '../support/faults/server.ts'

const MIB = 1024 * 1024

/** Uploads until the disk has no room for a file of one byte. */
async function fill(server: FaultServer): Promise<void> {
  for (let size = 16 * MIB, index = 0; size >= 1; index += 1) {
    const { status } = await server.send('PUT', `/files/fill/${index}`, [], pattern(size))
    if (status !== 201) size = Math.floor(size / 4)
  }
}

describe.each(FILE_SYSTEMS)('on a full %s', (fileSystem) => {
  const missing = noPowerCut(fileSystem)
  const text = title('removes what it is asked to, and works on', missing)
  it.skipIf(missing !== null)(text, { timeout: 120_000 }, async () => {
    const disk = await Disk.make(fileSystem, { size: fileSystem === 'xfs' ? 300 : 24 })
    const storage = { fsync: 'never' } as const
    const options = { directory: disk.directory, shell: disk.shell }
    const first = await FaultServer.start({ ...options, storage })
    await first.send('PUT', '/files/old', [], pattern(100_000))
    await first.patch('/files/part', 'bytes 0-99999/200000', pattern(100_000))
    await fill(first)
    await disk.flush()
    await first.kill()
    const server = await FaultServer.start(options)

    const full = await server.send('PUT', '/files/new', [], pattern(MIB))
    const removed = [
      await server.send('DELETE', '/files/part'),
      await server.send('DELETE', '/files/old'),
      await server.send('DELETE', '/files/fill/0'),
    ]
    const next = await server.send('PUT', '/files/new', [], pattern(MIB))

    expect(full.status).toBe(507)
    expect(removed.map(({ status }) => status)).toEqual([204, 204, 204])
    expect(next.status).toBe(201)
  })
})

describe.skipIf(NO_MOUNT !== null)(title('in a tmpfs', NO_MOUNT), () => {
  it('without room for another file removes a resource', async () => {
    const server = await FaultServer.start({ directory: newMount('nr_inodes=10') })
    await server.patch('/files/part', 'bytes 0-9/20', pattern(10))
    const statuses = []
    for (let index = 0; index < 8; index += 1) {
      statuses.push((await server.send('PUT', `/files/${index}`, [], 'abc')).status)
    }

    expect(statuses).toContain(507)
    expect((await server.send('DELETE', '/files/part')).status).toBe(204)
    expect((await server.send('DELETE', '/files/0')).status).toBe(204)
  })
})

describe.skipIf(NO_MOUNT !== null)(title('two processes', NO_MOUNT), () => {
  // A PUT creates three files while it runs, and leaves two of them. Any of these can be the last
  // one that the disk has room for.
  it.each([12, 13, 14, 15])(
    'acquire and release locks without room for another file: of %s',
    async (files) => {
      const directory = newMount(`nr_inodes=${files}`)
      const start = () => FaultServer.start({ entry: 'sharing.ts', directory })
      const servers = [await start(), await start()] as const
      const statuses: number[] = []
      for (let index = 0; index < 8; index += 1) {
        for (const server of servers) {
          statuses.push((await server.send('PUT', `/files/${index}`, [], 'abc')).status)
        }
      }
      const found = statuses.indexOf(507)
      const full = new Set(statuses.slice(found))
      const states = await Promise.all(servers.map((server) => server.state('/files/0')))
      // Another program that removes finished files makes room.
      rmSync(path.join(directory, '0'))

      const removed = await servers[0].send('DELETE', '/files/1')
      rmSync(path.join(directory, '2'))
      const answers = [
        await servers[1].send('PUT', '/files/1', [], 'new'),
        await servers[0].send('PUT', '/files/1', [], 'newer'),
        await servers[1].send('DELETE', '/files/1'),
      ]

      expect(found).toBeGreaterThan(2)
      expect([...full]).toEqual([507])
      expect(states).toEqual(['C(3)', 'C(3)'])
      expect(removed.status).toBe(204)
      expect(answers.map(({ status }) => status)).toEqual([201, 204, 204])
      const locks = path.join(directory, '.partial-upload/locks')
      await vi.waitFor(() => expect(readdirSync(locks)).toEqual([]), 10_000)
    },
  )
})

it('keeps what fits into a file of limited size, and answers 507', async () => {
  const server = await FaultServer.start({ directory: newDirectory(), shell: 'ulimit -f 128' })
  const data = pattern(100_000)

  const put = await server.send('PUT', '/files/put', [], data)
  const first = await server.patch('/files/a', 'bytes 0-49999/100000', data.subarray(0, 50_000))
  const second = await server.patch('/files/a', 'bytes 50000-99999/*', data.subarray(50_000))

  expect([put.status, first.status, second.status]).toEqual([507, 202, 507])
  const size = Number(json(second)['received'])
  expect(size).toBeGreaterThan(50_000)
  const stored = (await server.send('GET', '/files/a')).body
  expect(stored.equals(data.subarray(0, size))).toBe(true)
  expect(await server.state('/files/put')).toBe('∅')
  expect((await server.send('PUT', '/files/a', [], 'abc')).status).toBe(201)
})

const missing = noPowerCut('ext4')

it.skipIf(missing !== null)(
  title('a server on a disk that becomes read-only continues to read, and loses nothing', missing),
  { timeout: 60_000 },
  async () => {
    const disk = await Disk.make('ext4', { size: 32 })
    // Each segment is flushed, because only flushed bytes count after a new mount.
    const storage = { fsync: 'segment' } as const
    const options = { directory: disk.directory, shell: disk.shell, storage }
    const server = await FaultServer.start(options)
    const data = pattern(200_000)
    await server.send('PUT', '/files/old', [], data)
    await server.patch('/files/part', 'bytes 0-99999/200000', data.subarray(0, 100_000))
    await server.patch('/files/part', 'bytes 100000-149999/*', data.subarray(100_000, 150_000))
    await disk.flush()
    await disk.becomeReadOnly()

    const refused = [
      await server.patch('/files/part', 'bytes 150000-199999/*', data.subarray(150_000)),
      await server.patch('/files/old', 'bytes 0-3/*', 'abcd'),
      await server.send('PUT', '/files/old', [], 'new'),
      await server.send('PUT', '/files/x/new', [], 'new'),
      await server.send('DELETE', '/files/old'),
      await server.send('DELETE', '/files/part'),
    ]
    const old = await server.send('GET', '/files/old')
    const state = await server.state('/files/part')
    await server.kill()
    disk.remount()
    const next = await FaultServer.start(options)

    expect(refused.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500])
    expect(old.body.equals(data)).toBe(true)
    expect(state).toBe('I(150000/200000)')
    expect(await next.state('/files/part')).toBe(state)
    const rest = data.subarray(150_000)
    expect((await next.patch('/files/part', 'bytes 150000-199999/*', rest)).status).toBe(201)
    expect((await next.send('GET', '/files/part')).body.equals(data)).toBe(true)
    expect((await next.send('DELETE', '/files/old')).status).toBe(204)
  },
)
