/** Several server processes on one directory: a cluster, and independent servers. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

import { fsLocker } from 'partial-upload/storage/fs'
import { describe, expect, it, vi } from 'vitest'

import {
  CHUNKED,
  MESSAGE,
  ask,
  chunk,
  field,
  json,
  message,
  request,
} from '../support/wire/client.ts'
import type { Bytes } from '../support/wire/client.ts'
import { letters, stateOf } from '../support/wire/server.ts'
import {
  FaultServer,
  NO_MOUNT,
  newDirectory,
  newMount,
  pattern,
  reasonAgainst,
  remount,
  title,
} from '../support/faults/server.ts'
import { finish, startWriting } from '../support/wire/writer.ts'

const FOREVER = 60_000
const NO_LINUX = process.platform === 'linux' ? null : 'needs Linux'
/** Processes in a container have numbers of their own. */
const NO_CONTAINER = reasonAgainst('needs unshare and the right to use it', () =>
  execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' }),
)
const CONTAINER = 'exec unshare --pid --fork --kill-child --mount-proc "$@"'

/** A container whose manager has given it a boot id of its own. */
const CONTAINER_WITH_BOOT_ID = `id=$(mktemp) && cat /proc/sys/kernel/random/uuid >"$id" &&
  export id && exec unshare --mount --pid --fork --kill-child --mount-proc sh -c '
    mount --bind "$id" /proc/sys/kernel/random/boot_id && rm "$id" && exec "$@"' sh "$@"`

async function share(directory: string, middleware = {}, more = {}): Promise<FaultServer> {
  return FaultServer.start({ entry: 'sharing.ts', directory, middleware, ...more })
}

/** Two servers on one new directory. */
async function pair(middleware = {}, more = {}): Promise<readonly [FaultServer, FaultServer]> {
  const directory = newDirectory()
  return [await share(directory, middleware, more), await share(directory, middleware, more)]
}

type Creation = readonly [
  kind: string,
  method: string,
  fields: readonly string[],
  body: (letter: string) => Bytes,
  then: string,
]

const CREATIONS: readonly Creation[] = [
  ['segment', 'PATCH', [MESSAGE], (letter) => message('bytes 0-3/10', letter.repeat(4)), 'I(4/10)'],
  ['whole', 'PATCH', [MESSAGE], (letter) => message('bytes 0-3/4', letter.repeat(4)), 'C(4)'],
  ['put', 'PUT', [], (letter) => letter.repeat(4), 'C(4)'],
]

describe.each([
  [
    'a cluster',
    async () => {
      const cluster = await share(newDirectory(), {}, { workers: 3 })
      return [cluster, cluster] as const
    },
  ],
  ['two servers', async () => pair()],
] as const)('over %s', (_name, start) => {
  it('simultaneous creations have one winner', async () => {
    const servers = await start()
    const all = letters(24)

    for (const [kind, method, fields, body, then] of CREATIONS) {
      const path = `/files/${kind}`
      const answers = await Promise.all(
        [...all].map(async (letter, index) => {
          const server = servers[index % 2] ?? servers[0]
          return ask(server, method, path, [...fields, 'If-None-Match: *'], body(letter))
        }),
      )

      const winners = [...all].filter((_, index) => (answers[index]?.status ?? 0) < 300)
      expect(winners).toHaveLength(1)
      for (const { status } of answers) expect([201, 202, 409, 412]).toContain(status)
      expect(new Set(answers.map((answer) => field(answer, 'x-process'))).size).toBeGreaterThan(1)
      const get = await ask(servers[1], 'GET', path)
      expect([stateOf(get), get.body.toString()]).toEqual([then, winners[0]?.repeat(4)])
    }
  })

  it('simultaneous appends lose no byte and mix none', async () => {
    const servers = await start()
    await servers[0].patch('/files/a', 'bytes 0-0/*', '-')
    const acknowledged: (readonly [start: number, bytes: string])[] = []

    /** Appends the letter until it has done so ten times. */
    async function append(letter: string, index: number): Promise<void> {
      const server = servers[index % 2] ?? servers[0]
      for (let done = 0; done < 10;) {
        const head = await ask(server, 'HEAD', '/files/a')
        const size = Number(field(head, 'content-length'))
        const data = letter.repeat(1 + ((done * 7 + index) % 50))
        const fields = [MESSAGE, `If-Match: ${field(head, 'etag')}`]
        const body = message(`bytes ${size}-${size + data.length - 1}/*`, data)
        const { status } = await ask(server, 'PATCH', '/files/a', fields, body)
        expect([202, 409, 412]).toContain(status)
        if (status !== 202) continue
        acknowledged.push([size, data])
        done += 1
      }
    }
    await Promise.all([...'abcd'].map(append))

    const { body } = await ask(servers[1], 'GET', '/files/a')
    const expected = acknowledged.toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes)
    expect(body.toString()).toBe(`-${expected.join('')}`)
  })
})

describe('a process that is killed while it writes', () => {
  it('leaves the upload to another one at once', async () => {
    const [one, other] = await pair({}, { times: { stall: FOREVER, wait: 500 } })
    await startWriting(one, '/files/a')
    const refused = await other.patch('/files/a', 'bytes 4-9/10', 'efghij')

    await one.kill()
    const start = performance.now()
    const answer = await other.patch('/files/a', 'bytes 4-9/10', 'efghij')
    const time = performance.now() - start

    expect([refused.status, field(refused, 'retry-after'), answer.status]).toEqual([409, '1', 201])
    expect(time).toBeLessThan(1000)
    expect((await ask(other, 'GET', '/files/a')).body.toString()).toBe(letters(10))
  })

  it('leaves it to the rest of its cluster', async () => {
    const server = await share(newDirectory(), { lockTimeout: FOREVER }, { workers: 2 })
    const connection = await server.connect()
    connection.send(request('HEAD', '/files/a'))
    const pid = Number(field(await connection.answer('HEAD'), 'x-process'))
    connection.send(request('PATCH', '/files/a', [MESSAGE, CHUNKED]))
    connection.send(chunk(message('bytes 0-9/10', 'abcd')))
    await server.becomes('/files/a', 'I(4/10)')

    process.kill(pid, 'SIGKILL')
    // Wait until the process has ended. The primary could pass a connection to it otherwise, which
    // would be lost.
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 20_000)
    const body = message('bytes 4-9/10', 'efghij')
    const answer = await ask(server, 'PATCH', '/files/a', [MESSAGE], body)

    expect(answer.status).toBe(201)
    expect((await ask(server, 'GET', '/files/a')).body.toString()).toBe(letters(10))
  })
})

describe('a writer in another process', () => {
  it('is revoked when it has stalled, and never writes again', async () => {
    const [one, other] = await pair({ lockTimeout: 1000 })
    const writer = await startWriting(one, '/files/a')

    const answer = await other.patch('/files/a', 'bytes 4-9/10', 'EFGHIJ')
    const displaced = await finish(writer).answerOrClose()

    expect(answer.status).toBe(201)
    expect([undefined, 409]).toContain(displaced?.status)
    await writer.closed()
    expect((await ask(one, 'GET', '/files/a')).body.toString()).toBe('abcdEFGHIJ')
  })

  it('is revoked by DELETE at once, and cannot create the resource again', async () => {
    const [one, other] = await pair({ lockTimeout: FOREVER })
    const writer = await startWriting(one, '/files/a')

    const deleted = await other.send('DELETE', '/files/a')
    const displaced = await finish(writer).answerOrClose()

    expect(deleted.status).toBe(204)
    expect([undefined, 409]).toContain(displaced?.status)
    await writer.closed()
    expect([await one.state('/files/a'), await other.state('/files/a')]).toEqual(['∅', '∅'])
  })

  it('is not revoked while its bytes arrive', async () => {
    const [one, other] = await pair({ lockTimeout: 2000 })
    const writer = await one.connect()
    writer.send(
      request('PATCH', '/files/a', [MESSAGE, CHUNKED]),
      chunk(message('bytes 0-999/*', 'x')),
    )
    await one.becomes('/files/a', 'I(1/*)')
    const trickle = setInterval(() => writer.send(chunk('x')), 20)

    const answers = [
      await other.send('HEAD', '/files/a'),
      await other.send('GET', '/files/a'),
      await other.patch('/files/a', 'bytes 0-0/*', 'A'),
    ]
    clearInterval(trickle)

    expect(answers.map(({ status }) => status)).toEqual([299, 299, 409])
    expect(writer.isOpen).toBe(true)
  })

  it('keeps its upload from expiring', async () => {
    const [one, other] = await pair({ lockTimeout: 100 })
    const writer = await startWriting(one, '/files/a')
    await one.patch('/files/b', 'bytes 0-3/10', 'abcd')
    // Wait until the upload is older than 0 ms, because only older ones expire.
    await new Promise((resolve) => setTimeout(resolve, 50))

    const expired = await other.send('POST', '/expire')
    const answer = await finish(writer).answer()

    expect(JSON.parse(expired.body.toString())).toEqual(['b'])
    expect([answer.status, await other.state('/files/b')]).toEqual([201, '∅'])
  })

  it('serves a reader the old file or the new one', async () => {
    const [one, other] = await pair()
    const [old, next] = [pattern(8_000_000, 1), pattern(8_000_000, 2)]
    await one.send('PUT', '/files/a', [], old)
    const reader = await other.connect()
    reader.socket.pause()
    reader.send(request('GET', '/files/a'))
    await other.send('HEAD', '/files/a')

    const answer = await one.send('PUT', '/files/a', [], next)
    reader.socket.resume()

    expect(answer.status).toBe(204)
    expect((await reader.answer()).body.equals(old)).toBe(true)
    expect((await other.send('GET', '/files/a')).body.equals(next)).toBe(true)
  })
})

describe.skipIf(NO_LINUX !== null)(title('a process that is halted', NO_LINUX), () => {
  it('keeps its lock, and continues to write when it wakes', async () => {
    const [one, other] = await pair({ lockTimeout: 100 })
    const writer = await startWriting(one, '/files/a')

    process.kill(one.pid, 'SIGSTOP')
    writer.send(chunk('ef'))
    const statuses: number[] = []
    for (const end = performance.now() + 6500; performance.now() < end;) {
      statuses.push((await other.patch('/files/a', 'bytes 4-9/10', 'EFGHIJ')).status)
    }
    process.kill(one.pid, 'SIGCONT')
    const answer = await writer.send(chunk('ghij'), '0\r\n\r\n').answer()

    expect([...new Set(statuses)]).toEqual([409])
    expect(answer.status).toBe(201)
    expect((await ask(other, 'GET', '/files/a')).body.toString()).toBe(letters(10))
  })
})

describe.skipIf(NO_CONTAINER !== null)(
  title('a process in another container', NO_CONTAINER),
  () => {
    it('loses its lock when it is halted for 5 s, and notices before it writes', async () => {
      const directory = newDirectory()
      const one = await share(directory, {}, { shell: CONTAINER })
      const other = await share(directory, {}, { times: { stall: FOREVER, wait: 500 } })
      const inside = Number(
        readFileSync(`/proc/${one.child.pid}/task/${one.child.pid}/children`, 'utf8'),
      )
      const writer = await startWriting(one, '/files/a')
      const early = await other.patch('/files/a', 'bytes 4-7/10', 'EFGH')

      process.kill(inside, 'SIGSTOP')
      writer.send(chunk('ef'))
      const start = performance.now()
      let answer = early
      while (answer.status === 409) answer = await other.patch('/files/a', 'bytes 4-7/10', 'EFGH')
      const time = performance.now() - start
      process.kill(inside, 'SIGCONT')
      const displaced = await writer.send(chunk('ghij'), '0\r\n\r\n').answerOrClose()

      expect([early.status, answer.status]).toEqual([409, 202])
      expect(time).toBeGreaterThan(4000)
      expect(time).toBeLessThan(9000)
      expect(displaced?.status).toBe(409)
      expect(json(displaced ?? answer)).toMatchObject({ code: 'ERR_INTERRUPTED' })
      await writer.closed()
      expect((await ask(other, 'GET', '/files/a')).body.toString()).toBe('abcdEFGH')
      expect((await other.patch('/files/a', 'bytes 8-9/10', 'IJ')).status).toBe(201)
    })
  },
)

describe.skipIf(NO_CONTAINER !== null)(
  title('processes in containers with boot ids of their own', NO_CONTAINER),
  () => {
    it.each(['a living process', 'a process that was killed'])(
      'count the bytes that %s has acknowledged',
      async (name) => {
        const directory = newDirectory()
        const options = { entry: 'child.ts', shell: CONTAINER_WITH_BOOT_ID }
        const one = await FaultServer.start({ ...options, directory })
        const acknowledged = await one.patch('/files/a', 'bytes 0-3/10', 'abcd')
        if (name.includes('killed')) await one.kill()
        const other = await FaultServer.start({ ...options, directory })
        const host = await FaultServer.start({ directory })

        const states = [await other.state('/files/a'), await host.state('/files/a')]
        const rest = await other.patch('/files/a', 'bytes 4-9/10', 'efghij')

        expect(acknowledged.status).toBe(202)
        expect(states).toEqual(['I(4/10)', 'I(4/10)'])
        expect(rest.status).toBe(201)
        expect((await ask(host, 'GET', '/files/a')).body.toString()).toBe(letters(10))
      },
    )
  },
)

it.skipIf(NO_MOUNT !== null)(
  title('a full disk does not keep a file from being removed', NO_MOUNT),
  async () => {
    const server = await share(newMount('size=1m'))
    const full = await server.patch('/files/a', 'bytes 0-1999999/*', Buffer.alloc(2_000_000))

    const removed = await server.send('DELETE', '/files/a')

    expect([full.status, removed.status]).toEqual([507, 204])
    expect((await server.send('PUT', '/files/a', [], 'abc')).status).toBe(201)
  },
)

it.skipIf(NO_MOUNT !== null)(
  title('a lock that can not be removed is removed as soon as it can', NO_MOUNT),
  async () => {
    const directory = newMount('size=1m')
    const lock = await fsLocker({ directory }).acquire('a', { wait: 0, stall: 0 })
    remount(directory, 'ro')

    lock.release()
    remount(directory, 'rw')

    const next = await fsLocker({ directory }).acquire('a', { wait: 2000, stall: 2000 })
    expect(next.isLost).toBe(false)
    next.release()
  },
)
