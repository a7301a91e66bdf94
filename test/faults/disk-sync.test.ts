/**
 * A disk that has accepted bytes and then can't store them: one fsync fails, and the next one
 * succeeds.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'

import { expect, it } from 'vitest'

import { json } from '../support/wire/client.ts'
import { Disk, noPowerCut } from '../support/faults/power-disk.ts'
import {
  FaultServer,
  MEMORY,
  NO_TRACE,
  inject,
  newDirectory,
  newMount,
  pattern,
  remount,
  title,
} from '../support/faults/server.ts'

const MIB = 1024 * 1024
const missing = noPowerCut('ext4')
const TRIES = 8

it.skipIf(missing !== null)(
  title('takes back the bytes that a failed fsync may have lost, and requests them again', missing),
  { timeout: 120_000, retry: TRIES },
  async ({ skip, task }) => {
    // The disk is a sparse file on a file system that is too small for it.
    const backing = newMount('size=6m')
    const disk = await Disk.make('ext4', { size: 20, parent: backing })
    const server = await FaultServer.start({ directory: disk.directory, shell: disk.shell })
    const data = pattern(8 * MIB)
    const last = data.length - 1
    await server.send('PUT', '/files/old', [], 'old')
    await server.patch('/files/a', `bytes 0-${MIB - 1}/*`, data.subarray(0, MIB))

    const full = await server.patch(
      '/files/a',
      `bytes ${MIB}-${last}/${data.length}`,
      data.subarray(MIB),
    )
    const state = await server.state('/files/a')
    remount(backing, 'size=40m')
    const end = await server.patch('/files/a', `bytes ${last}-${last}/*`, data.subarray(last))
    const whole = await server.patch('/files/a', `bytes 0-${last}/${data.length}`, data)
    // Try again if the journal of ext4 got no room, because the whole file system has failed then.
    if (disk.isReadOnly) {
      const broken = 'the file system broke as a whole'
      skip(task.result?.retryCount === TRIES, broken)
      throw new Error(broken)
    }
    await server.kill()
    disk.remount()
    const next = await FaultServer.start({ directory: disk.directory, shell: disk.shell })

    expect([full.status, json(full)['received'], state]).toEqual([507, 0, `I(0/*)`])
    expect([end.status, json(end)['expected-offset']]).toEqual([409, 0])
    expect(whole.status).toBe(201)
    expect((await next.send('GET', '/files/a')).body.equals(data)).toBe(true)
    expect(await next.state('/files/old')).toBe('C(3)')
  },
)

it.skipIf(NO_TRACE !== null)(
  title('remembers a failed fsync after a restart and in other processes', NO_TRACE),
  { timeout: 60_000 },
  async () => {
    const directory = newDirectory(MEMORY)
    const server = await FaultServer.start({ directory })
    const other = await FaultServer.start({ directory })
    const data = pattern(40 * MIB)
    const length = data.length
    const lost = `I(0/${length})`
    await server.patch('/files/a', `bytes 0-${MIB - 1}/${length}`, data.subarray(0, MIB))
    const repair = await inject(server.pid, 'fdatasync:error=EIO')

    // Large enough that it is flushed while it arrives.
    const more = await server.patch(
      '/files/a',
      `bytes ${MIB}-${length - 2}/*`,
      data.subarray(MIB, -1),
    )
    await server.becomes('/files/a', lost)
    const elsewhere = await other.state('/files/a')
    await repair()
    await server.kill()
    const next = await FaultServer.start({ directory })
    const afterRestart = await next.state('/files/a')
    const end = await next.patch('/files/a', `bytes ${length - 1}-${length - 1}/*`, 'x')
    const whole = await next.patch('/files/a', `bytes 0-${length - 1}/${length}`, data)

    expect(more.status).toBe(202)
    expect([elsewhere, afterRestart, end.status]).toEqual([lost, lost, 409])
    expect(whole.status).toBe(201)
    expect(readFileSync(path.join(directory, 'a')).equals(data)).toBe(true)
  },
)
