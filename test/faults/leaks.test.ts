/** Many failures of each kind: none of them may leak a handle, a lock or memory. */
import { execFileSync } from 'node:child_process'
import { existsSync, renameSync } from 'node:fs'
import path from 'node:path'

import { describe, expect, it, vi } from 'vitest'

import { MESSAGE, MULTIPART, json, message, multipart } from '../support/wire/client.ts'
import type { Bytes } from '../support/wire/client.ts'
import {
  FaultServer,
  MEMORY,
  NO_MOUNT,
  NO_PROC,
  NO_TRACE,
  inject,
  newDirectory,
  newMount,
  pattern,
  reasonAgainst,
  remount,
  title,
} from '../support/faults/server.ts'

/** Least number of failures of each kind. */
const FAILURES = Number(process.env['FAULT_FAILURES'] ?? 100)
/** Largest growth that the first failures may cause, in handles and in bytes of the heap. */
const [MOST_HANDLES, MOST_HEAP] = [2, 1024 * 1024]

type Step = readonly [method: string, target: string, fields: readonly string[], body: Bytes]

interface Fault {
  readonly name: string
  readonly missing: string | null
  readonly status: number
  /** Requests that fail. */
  readonly steps: readonly Step[]
  readonly directory?: () => string
  /**
   * Whether the fault may fail a background fsync of `/files/part`. The server then answers 409
   * with expected-offset 0, and the client sends the file from byte 0.
   */
  readonly mayLoseUpload?: boolean
  /** Begins the fault. The returned function ends it. */
  readonly begin: (server: FaultServer, directory: string) => Promise<() => Promise<void>>
}

const OLD = pattern(2000, 1)
const HALF = pattern(1000, 2)
const WHOLE = pattern(2000, 2)

const PUT_NEW: Step = ['PUT', '/files/new', [], pattern(10_000)]
const PUT_OVER: Step = ['PUT', '/files/old', [], pattern(10_000)]
const PATCH: Step = ['PATCH', '/files/old', [MESSAGE], message('bytes 0-1/*', 'ab')]
const PARTS: Step = ['PATCH', '/files/part', [MULTIPART], multipart(['bytes 0-1/*', 'zz'])]
const SEGMENT: Step = segment(WHOLE.subarray(1000, 1500))
const TRUNCATE: Step = ['PATCH', '/files/old', [MESSAGE], message('bytes */10')]

function segment(data: Buffer): Step {
  const range = `bytes 1000-${999 + data.length}/2000`
  return ['PATCH', '/files/part', [MESSAGE], message(range, data)]
}

/** System calls that fail. */
function calls(names: string, error: string, steps: readonly Step[]): Fault {
  const [first = ''] = names.split(',', 1)
  return {
    name: `${first} fails with ${error}`,
    missing: NO_TRACE,
    status: error === 'EDQUOT' ? 507 : 500,
    steps,
    begin: ({ pid }) => inject(pid, `${names}:error=${error}:when=1+`),
  }
}

const WRITE = 'pwrite64,pwritev,pwritev2'

const NO_LIMIT = reasonAgainst('needs prlimit', () => execFileSync('prlimit', ['--version']))

/** Refuses handles from the number `limit` on to a process. */
function limitHandles(pid: number, limit: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`])
}

function firstFree(pid: number): number {
  let number = 0
  while (existsSync(`/proc/${pid}/fdinfo/${number}`)) number += 1
  return number
}

const FAULTS: readonly Fault[] = [
  {
    name: 'the disk is full',
    missing: NO_MOUNT,
    status: 507,
    steps: [PUT_NEW, PUT_OVER, PATCH, PARTS],
    directory: () => newMount('size=1m'),
    async begin(server) {
      await server.patch('/files/fill', 'bytes 0-9/*', pattern(10))
      await server.patch('/files/fill', 'bytes 10-1999999/*', pattern(1_999_990))
      return async () => void (await server.send('DELETE', '/files/fill'))
    },
  },
  calls(WRITE, 'EDQUOT', [PUT_NEW, PUT_OVER, PATCH, PARTS, SEGMENT]),
  calls(WRITE, 'EIO', [PUT_NEW, PUT_OVER, PATCH, PARTS, SEGMENT]),
  { ...calls('fsync,fdatasync', 'EIO', [PUT_NEW, PUT_OVER, PATCH]), mayLoseUpload: true },
  calls('rename,renameat,renameat2', 'EIO', [PUT_NEW, PUT_OVER, PATCH, PARTS]),
  calls('ftruncate', 'EIO', [TRUNCATE]),
  {
    name: 'no handle is free',
    missing: NO_LIMIT,
    status: 500,
    steps: [PUT_NEW, PUT_OVER, PATCH, PARTS],
    async begin(server) {
      // An upload may keep its file open for the next segment, and close it during the fault. Wait
      // until all are closed.
      const kept = (): readonly string[] => server.files().filter((file) => file.endsWith('.data'))
      await vi.waitFor(() => expect(kept()).toEqual([]), 20_000)
      limitHandles(server.pid, firstFree(server.pid))
      return async () => limitHandles(server.pid, 1024)
    },
  },
  {
    name: 'the directory is read-only',
    missing: NO_MOUNT,
    status: 500,
    steps: [PUT_NEW, PUT_OVER, PATCH, PARTS, SEGMENT, ['DELETE', '/files/old', [], '']],
    directory: () => newMount('size=20m'),
    async begin(_server, directory) {
      remount(directory, 'ro')
      return async () => remount(directory, 'rw')
    },
  },
  {
    name: 'the directory is gone',
    missing: null,
    status: 500,
    steps: [PUT_NEW, PUT_OVER, PATCH, PARTS, SEGMENT, ['DELETE', '/files/old', [], '']],
    directory: () => path.join(newDirectory(MEMORY), 'uploads'),
    async begin(_server, directory) {
      renameSync(directory, `${directory}-away`)
      return async () => renameSync(`${directory}-away`, directory)
    },
  },
]

describe.each(FAULTS)('while $name', (fault) => {
  const { missing, status, steps, begin } = fault

  it.skipIf((NO_PROC ?? missing) !== null)(
    title(`${FAILURES} requests fail with ${status} and leave nothing behind`, NO_PROC, missing),
    { timeout: 60_000 + FAILURES * 500 },
    async () => {
      const directory = fault.directory?.() ?? newDirectory(MEMORY)
      const server = await FaultServer.start({ directory })
      await server.send('PUT', '/files/old', [], OLD)
      await server.patch('/files/part', 'bytes 0-999/2000', HALF)
      const handles = server.handles()
      const end = await begin(server, directory)

      const early = await fail(FAILURES / 10)
      const late = await fail(FAILURES - FAILURES / 10)
      await end()

      await server.waitForHandles(handles + MOST_HANDLES)
      expect((await server.send('GET', '/files/old')).body.equals(OLD)).toBe(true)
      expect((await server.send('GET', '/files/part')).body.equals(HALF)).toBe(true)
      expect(await server.state('/files/part')).toBe('I(1000/2000)')
      expect(await server.state('/files/new')).toBe('∅')
      const last = await server.patch('/files/part', 'bytes 1000-1999/2000', WHOLE.subarray(1000))
      if (last.status === 409 && fault.mayLoseUpload === true) {
        expect(json(last)['expected-offset']).toBe(0)
        expect((await server.patch('/files/part', 'bytes 0-1999/2000', WHOLE)).status).toBe(201)
      } else {
        expect(last.status).toBe(201)
      }
      expect((await server.send('GET', '/files/part')).body.equals(WHOLE)).toBe(true)
      expect((await server.send('PUT', '/files/old', [], 'abc')).status).toBe(204)
      expect(late.heap - early.heap).toBeLessThan(MOST_HEAP)
      if (process.env['FAULT_FAILURES'] !== undefined) {
        const now = server.handles()
        console.log(JSON.stringify({ fault: fault.name, handles, now, early, late }))
      }

      async function fail(times: number): Promise<Memory> {
        const statuses = new Set<number>()
        for (let count = 0; count < times; count += steps.length) {
          for (const step of steps) statuses.add((await server.send(...step)).status)
        }
        expect([...statuses]).toEqual([status])
        return memoryOf(server)
      }
    },
  )
})

interface Memory {
  /** Bytes of objects in use. */
  readonly heap: number
  /** Bytes of the process; null where it can't be asked. */
  readonly rss: number | null
}

/** Returns the memory in use after a garbage collection. */
async function memoryOf(server: FaultServer): Promise<Memory> {
  return json(await server.send('GET', '/memory')) as unknown as Memory
}
