/**
 * Clients that change resources until the server is killed, and check the versions that may be
 * stored then.
 */
import { createHash } from 'node:crypto'

import { expect } from 'vitest'

import { MESSAGE, MULTIPART, field, message, multipart, request } from '../wire/client.ts'
import type { Answer, Bytes, Connection } from '../wire/client.ts'
import { pattern } from './server.ts'
import type { FaultServer } from './server.ts'

/** A version of a resource; its bytes are null if it does not exist. */
export interface Version {
  readonly bytes: Buffer | null
  readonly complete: boolean
}

/** One request, and the version that it produces. */
interface Change {
  readonly method: string
  readonly fields: readonly string[]
  readonly body: Bytes
  readonly next: Version
  /** Atomic, or byte after byte: at the end, or over stored bytes. */
  readonly way: 'whole' | 'append' | 'over'
}

const ABSENT: Version = { bytes: null, complete: false }
const UPLOAD_SIZE = 300_000

export function random(limit: number): number {
  return Math.floor(Math.random() * limit)
}

function randomBytes(most: number): Buffer {
  return pattern(1 + random(most), 1 + random(1e6))
}

function put(bytes: Buffer): Change {
  return { method: 'PUT', fields: [], body: bytes, next: { bytes, complete: true }, way: 'whole' }
}

const DELETE: Change = { method: 'DELETE', fields: [], body: '', next: ABSENT, way: 'whole' }

/** Data from position `start`, in an upload of `length` bytes or in a finished resource. */
function patch(bytes: Buffer | null, start: number, data: Buffer, length: number | '*'): Change {
  const old = bytes ?? Buffer.alloc(0)
  const end = start + data.length
  const next = Buffer.concat([old.subarray(0, start), data, old.subarray(end)])
  return {
    method: 'PATCH',
    fields: [MESSAGE],
    body: message(`bytes ${start}-${end - 1}/${length}`, data),
    next: { bytes: next, complete: length === '*' || next.length === length },
    way: length === '*' ? 'whole' : start === old.length ? 'append' : 'over',
  }
}

function append({ bytes }: Version, most: number): Change {
  const start = bytes?.length ?? 0
  const data = randomBytes(Math.min(most, UPLOAD_SIZE - start))
  return patch(bytes, start, data, UPLOAD_SIZE)
}

function parts({ bytes, complete }: Version): Change {
  const next = Buffer.from(bytes ?? '')
  const size = 1 + random(Math.floor(next.length / 3))
  const pieces = [0, Math.floor(next.length / 3), next.length - size].map((start) => {
    const data = pattern(size, 1 + random(1e6))
    data.copy(next, start)
    return [`bytes ${start}-${start + size - 1}/*`, data] as const
  })
  const body = multipart(...pieces)
  return {
    method: 'PATCH',
    fields: [MULTIPART],
    body,
    next: { bytes: next, complete },
    way: 'whole',
  }
}

/** The next change of each kind. */
const CHANGES = {
  segments: (current) => (current.complete ? DELETE : append(current, 100_000)),
  over(current) {
    const { bytes, complete } = current
    if (complete) return DELETE
    if (bytes === null || random(2) === 0) return append(current, 60_000)
    const start = random(bytes.length)
    return patch(bytes, start, randomBytes(Math.min(60_000, UPLOAD_SIZE - start)), UPLOAD_SIZE)
  },
  atomic(current) {
    if (current.complete) return DELETE
    const change = append(current, 60_000)
    if (random(2) === 0) return change
    return { ...change, fields: [MESSAGE, 'Prefer: transaction=atomic'], way: 'whole' }
  },
  partsOfUpload(current) {
    if (current.complete) return DELETE
    const size = current.bytes?.length ?? 0
    return size < 3 || random(2) === 0 ? append(current, 100_000) : parts(current)
  },
  put: () => put(randomBytes(UPLOAD_SIZE)),
  patch({ bytes }) {
    if (bytes === null || bytes.length > 2 * UPLOAD_SIZE) return put(randomBytes(UPLOAD_SIZE))
    return patch(bytes, random(bytes.length + 1), randomBytes(100_000), '*')
  },
  parts: (current) =>
    (current.bytes?.length ?? 0) < 3 ? put(randomBytes(UPLOAD_SIZE)) : parts(current),
  reopen(current) {
    const { bytes, complete } = current
    if (bytes !== null && complete && bytes.length >= UPLOAD_SIZE) return DELETE
    if (bytes === null) return put(randomBytes(UPLOAD_SIZE - 1))
    if (!complete) return append(current, 100_000)
    const body = message(`bytes */${UPLOAD_SIZE}`)
    const next = { bytes, complete: false }
    return { method: 'PATCH', fields: [MESSAGE], body, next, way: 'whole' }
  },
  delete: ({ bytes }) => (bytes === null ? put(randomBytes(5000)) : DELETE),
} as const satisfies Readonly<Record<string, (current: Version) => Change>>

export type Kind = keyof typeof CHANGES

export const KINDS = Object.keys(CHANGES) as Kind[]

/** The bytes of each entity tag so far. Other bytes must never get the same tag. */
export class Tags {
  readonly #bytes = new Map<string, string>()

  see(answer: Answer, bytes: Buffer, what: string): void {
    const tag = field(answer, 'etag')
    if (tag === null) return
    const digest = createHash('sha256').update(bytes).digest('base64')
    const seen = this.#bytes.get(tag)
    if (seen !== undefined && seen !== digest) throw new Error(`${what}: ${tag} has other bytes`)
    this.#bytes.set(tag, digest)
  }
}

/** A client that changes one resource until the server is killed. */
export class Worker {
  readonly kind: Kind
  readonly target: string
  changes = 0
  readonly #tags: Tags
  /** Whether each acknowledged segment must be durable. */
  readonly #eachSegment: boolean
  /** The durable version, followed by the later acknowledged ones. */
  #history: readonly Version[] = [ABSENT]
  #pending: Change | null = null

  constructor(kind: Kind, tags: Tags, eachSegment: boolean) {
    this.kind = kind
    this.target = `/files/${kind}/in/resource`
    this.#tags = tags
    this.#eachSegment = eachSegment
  }

  /**
   * Sends requests until an answer is missing, or arrives after the power cut. A real power cut
   * ends the server too; here it runs for a moment longer, and xfs lets the fsync of a directory
   * succeed in that time.
   */
  async work(connection: Connection, isOver: () => boolean, onChange: () => void): Promise<void> {
    for (;;) {
      const change = CHANGES[this.kind](this.#history.at(-1) ?? ABSENT)
      const { method, fields, body, next } = change
      this.#pending = change
      connection.send(request(method, this.target, fields, body))
      const answer = await connection.answerOrClose(method)
      // 408: the machine is so slow that the server has timed out.
      if (answer === null || isOver() || answer.status === 408) return
      expect([201, 202, 204], `${method} of ${this.kind}`).toContain(answer.status)
      if (next.bytes !== null) this.#tags.see(answer, next.bytes, `${method} of ${this.kind}`)
      this.#pending = null
      this.#history = this.#isSafe(change) ? [next] : [...this.#history, next]
      this.changes += 1
      onChange()
    }
  }

  /** Reads the resource until the server is killed. */
  async read(server: FaultServer, isOver: () => boolean): Promise<void> {
    let connection = await server.connect()
    while (!isOver()) {
      connection.send(request('GET', this.target))
      const answer = await connection.answerOrClose()
      if (answer === null) connection = await server.connect()
      else if (answer.status < 300) this.#tags.see(answer, answer.body, `GET of ${this.kind}`)
    }
  }

  /** Compares the stored version with the possible ones, and continues from it. */
  async check(server: FaultServer): Promise<void> {
    const head = await server.send('HEAD', this.target)
    const get = await server.send('GET', this.target)
    expect([200, 299, 404], `GET of ${this.kind}`).toContain(get.status)
    expect([head.status, field(head, 'content-length')]).toEqual([
      get.status,
      String(get.body.length),
    ])
    const found = get.status === 404 ? ABSENT : { bytes: get.body, complete: get.status === 200 }
    if (found.bytes !== null) this.#tags.see(get, found.bytes, `GET of ${this.kind} afterwards`)
    const expected = [...this.#history, this.#pending?.next].map(describe).join(', ')
    const what = `${this.kind} is ${describe(found)} after ${expected} by ${this.#pending?.way}`
    if (!this.#isPossible(found)) throw new Error(what)
    this.#history = [found]
    this.#pending = null
  }

  #isSafe({ next, way }: Change): boolean {
    return this.#eachSegment || way === 'whole' || next.complete
  }

  #isPossible(found: Version): boolean {
    const [safe = ABSENT, ...later] = this.#history
    const pending = this.#pending
    if (pending !== null) later.push(pending.next)
    if ([safe, ...later].some((version) => isSame(version, found))) return true
    if (found.bytes === null || found.complete) return false
    if (found.bytes.length < (safe.complete ? 0 : (safe.bytes?.length ?? 0))) return false
    // Bytes that are not durable may be stored in part, and a write in place may have left a
    // mixture.
    const parts = pending?.way === 'whole' ? later.slice(0, -1) : later
    if (this.kind === 'over') return isMixed(found.bytes, [safe, ...parts])
    return parts.some(({ bytes }) => bytes !== null && isPrefix(found.bytes, bytes))
  }
}

function isSame(a: Version, b: Version): boolean {
  if (a.bytes === null || b.bytes === null) return a.bytes === b.bytes
  return a.complete === b.complete && a.bytes.equals(b.bytes)
}

function isPrefix(found: Buffer | null, bytes: Buffer): boolean {
  return found !== null && bytes.subarray(0, found.length).equals(found)
}

/** Whether each byte comes from one of the versions. */
function isMixed(found: Buffer, versions: readonly Version[]): boolean {
  return found.every((byte, index) => versions.some(({ bytes }) => bytes?.[index] === byte))
}

function describe(version: Version | undefined): string {
  if (version === undefined) return 'nothing'
  if (version.bytes === null) return '∅'
  return `${version.complete ? 'C' : 'I'}(${version.bytes.length})`
}
