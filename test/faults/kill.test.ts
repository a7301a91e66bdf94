/** A server that is killed while it works: what it acknowledged is there, and nothing is half done. */
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { expect, test, vi } from 'vitest'

import { MESSAGE, MULTIPART, field, message, multipart, request } from '../wire/client.ts'
import type { Answer, Bytes, Connection } from '../wire/client.ts'
import { FaultServer, newDirectory, pattern } from './server.ts'

/** Each kill meets every kind of change, all at work at the same time. */
const KILLS = Number(process.env['FAULT_KILLS'] ?? 15)
const KINDS = ['segments', 'put', 'patch', 'multipart', 'delete'] as const
const UPLOAD_SIZE = 400_000

type Kind = (typeof KINDS)[number]

/** One request, and what it makes of the resource. */
interface Change {
  readonly method: string
  readonly fields: readonly string[]
  readonly body: Bytes
  readonly next: Version
}

/** A version of a resource; the bytes of one that is not there are null. */
interface Version {
  readonly bytes: Buffer | null
  readonly complete: boolean
}

const ABSENT: Version = { bytes: null, complete: false }

function random(limit: number): number {
  return Math.floor(Math.random() * limit)
}

function finished(bytes: Buffer): Version {
  return { bytes, complete: true }
}

function put(bytes: Buffer): Change {
  return { method: 'PUT', fields: [], body: bytes, next: finished(bytes) }
}

const DELETE: Change = { method: 'DELETE', fields: [], body: '', next: ABSENT }

/** The next change of each kind. */
const CHANGES: Readonly<Record<Kind, (current: Version) => Change>> = {
  segments({ bytes, complete }) {
    if (complete) return DELETE
    const whole = pattern(UPLOAD_SIZE)
    const size = bytes?.length ?? 0
    // Now and then over what is there already.
    const start = Math.max(0, Math.min(size, UPLOAD_SIZE - 1) - random(3) * random(1000))
    const end = Math.min(UPLOAD_SIZE, size + 1 + random(150_000))
    return {
      method: 'PATCH',
      fields: [MESSAGE],
      body: message(`bytes ${start}-${end - 1}/${UPLOAD_SIZE}`, whole.subarray(start, end)),
      next: { bytes: whole.subarray(0, end), complete: end === UPLOAD_SIZE },
    }
  },
  put: () => put(pattern(1 + random(300_000), random(1000))),
  patch({ bytes }) {
    if (bytes === null || bytes.length > 500_000) return put(pattern(200_000, random(1000)))
    const start = random(bytes.length + 1)
    const data = pattern(1 + random(150_000), random(1000))
    const next = Buffer.concat([
      bytes.subarray(0, start),
      data,
      bytes.subarray(start + data.length),
    ])
    const range = `bytes ${start}-${start + data.length - 1}/${next.length}`
    return {
      method: 'PATCH',
      fields: [MESSAGE],
      body: message(range, data),
      next: finished(next),
    }
  },
  multipart({ bytes }) {
    if (bytes === null) return put(pattern(200_000, random(1000)))
    const next = Buffer.from(bytes)
    const size = 1 + random(60_000)
    const parts = [0, 70_000, 140_000].map((start) => {
      const data = pattern(size, random(1000))
      data.copy(next, start)
      return [`bytes ${start}-${start + size - 1}/*`, data] as const
    })
    return {
      method: 'PATCH',
      fields: [MULTIPART],
      body: multipart(...parts),
      next: finished(next),
    }
  },
  delete: ({ bytes }) => (bytes === null ? put(pattern(1 + random(5000), random(1000))) : DELETE),
}

/** `reached` resolves with so many calls of `onChange`. */
function countDown(changes: number) {
  let left = changes
  let reach = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const onChange = (): void => {
    left -= 1
    if (left === 0) reach()
  }
  return { reached, onChange }
}

/** A client that changes one resource until the server dies. */
class Worker {
  readonly kind: Kind
  readonly target: string
  acknowledged: Version = ABSENT
  pending: Version | null = null
  changes = 0

  constructor(kind: Kind) {
    this.kind = kind
    this.target = `/files/${kind}/resource`
  }

  async work(connection: Connection, onChange: () => void): Promise<void> {
    for (;;) {
      const { method, fields, body, next } = CHANGES[this.kind](this.acknowledged)
      this.pending = next
      connection.send(request(method, this.target, fields, body))
      const answer = await connection.answerOrClose(method)
      if (answer === null) return
      expect([201, 202, 204], `${method} of ${this.kind}`).toContain(answer.status)
      this.acknowledged = next
      this.pending = null
      this.changes += 1
      onChange()
    }
  }

  /** Holds what is there to what may be there, and goes on from it. */
  async check(server: FaultServer): Promise<void> {
    const head = await server.send('HEAD', this.target)
    const get = await server.send('GET', this.target)
    const found = versionOf(get)

    expect(head.status, 'HEAD beside GET').toBe(get.status)
    expect(field(head, 'content-length')).toBe(String(get.body.length))
    expect(field(head, 'etag')).toBe(field(get, 'etag'))
    const isPossible =
      isSame(found, this.acknowledged) ||
      (this.pending !== null && isSame(found, this.pending)) ||
      (this.kind === 'segments' && isBetween(found, this.acknowledged, this.pending))
    expect(isPossible, `${this.kind} after a kill is ${describe(found)}`).toBe(true)
    this.acknowledged = found
    this.pending = null
  }
}

function versionOf({ status, body }: Answer): Version {
  return status === 404 ? ABSENT : { bytes: body, complete: status === 200 }
}

function isSame(a: Version, b: Version): boolean {
  if (a.bytes === null || b.bytes === null) return a.bytes === b.bytes
  return a.complete === b.complete && a.bytes.equals(b.bytes)
}

/** An unfinished upload that has got some of a segment, but none of what it had before is gone. */
function isBetween(found: Version, old: Version, next: Version | null): boolean {
  if (found.bytes === null || found.complete || old.complete) return false
  const most = next?.bytes ?? null
  if (most === null || found.bytes.length < (old.bytes?.length ?? 0)) return false
  return most.subarray(0, found.bytes.length).equals(found.bytes)
}

function describe({ bytes, complete }: Version): string {
  return bytes === null
    ? 'absent'
    : `${complete ? 'complete' : 'incomplete'}, ${bytes.length} bytes`
}

test(
  `a server that is killed ${KILLS} times loses nothing it acknowledged and leaves nothing half done`,
  { timeout: 30_000 + KILLS * 3000 },
  async () => {
    const directory = newDirectory()
    const workers = KINDS.map((kind) => new Worker(kind))
    let server = await FaultServer.start({ directory })
    for (let kills = 0; kills < KILLS; kills += 1) {
      const connections = await Promise.all(workers.map(async () => server.connect()))
      const { reached, onChange } = countDown(1 + random(40))
      const atWork = Promise.all(
        workers.map(async (worker, index) => {
          const connection = connections[index]
          if (connection !== undefined) await worker.work(connection, onChange)
        }),
      )
      await Promise.race([reached, atWork])
      await new Promise((resolve) => setTimeout(resolve, random(10)))
      await server.kill()
      await atWork
      server = await FaultServer.start({ directory })
      for (const worker of workers) await worker.check(server)
    }

    for (const { kind, changes } of workers) {
      expect(changes, `changes of ${kind}`).toBeGreaterThan(0)
    }
    for (const { target } of workers) await server.send('DELETE', target)
    await server.kill()
    await expectCleanStart(directory)
  },
)

/** Nothing that a crash has left outlives the next start an hour later. */
async function expectCleanStart(directory: string): Promise<void> {
  const hidden = path.join(directory, '.partial-upload')
  const old = new Date(Date.now() - 2 * 3_600_000)
  for (const name of readdirSync(hidden)) utimesSync(path.join(hidden, name), old, old)
  const server = await FaultServer.start({ directory })
  await server.state('/files/any')

  await vi.waitFor(() => expect(readdirSync(hidden)).toEqual([]), { timeout: 4000 })
  for (const name of ['delete', 'put']) {
    expect((await server.send('PUT', `/files/${name}`, [], 'abc')).status).toBe(201)
  }
}

test('directories that a killed DELETE has left are no obstacle', async () => {
  const directory = newDirectory()
  mkdirSync(path.join(directory, 'a/b/c'), { recursive: true })
  mkdirSync(path.join(directory, 'd/e'), { recursive: true })
  writeFileSync(path.join(directory, 'd/f'), 'f')
  symlinkSync(path.join(directory, 'd/e'), path.join(directory, 'link'))
  const server = await FaultServer.start({ directory })

  const answers = []
  for (const key of ['a', 'd', 'link']) {
    answers.push(await server.send('PUT', `/files/${key}`, [], 'abc'))
  }

  expect(answers.map(({ status }) => status)).toEqual([201, 409, 409])
  expect(await server.state('/files/a')).toBe('C(3)')
  expect(await server.state('/files/d/f')).toBe('C(1)')
})
