/** A client that expires uploads while one of them is being written, until the server is killed. */
import { performance } from 'node:perf_hooks'

import { MESSAGE, field, json, message, request } from '../../support/wire/client.ts'
import type { Answer, Connection } from '../../support/wire/client.ts'
import { pattern } from '../../support/faults/pattern.ts'
import { versionOf } from './client.ts'
import type { Way } from './client.ts'
import { startsWith } from './model.ts'
import type { Round, Score } from './round.ts'

/**
 * Number of bytes of an upload that is written while others expire. One more byte is announced and
 * never sent.
 */
const SIZE = 200_000
const LENGTH = SIZE + 1

/** An upload that a client has begun. */
interface Begun {
  readonly bytes: Buffer
  /** Number of bytes that are known to be stored. */
  stored: number
}

/** The uploads of one store, all of which are old enough to expire. */
export class ExpiryClient {
  /** The uploads without a writer, by their target. */
  readonly #idle = new Map<string, Begun>()
  /** The upload that is being written. */
  #live: (Begun & { readonly target: string }) | null = null
  /** The connection that writes it. */
  #writer: Connection | null = null
  #isExpiring = false
  #count = 0

  /** The keys of the uploads that exist. */
  get keys(): ReadonlySet<string> {
    const targets = [...this.#idle.keys(), ...(this.#live === null ? [] : [this.#live.target])]
    return new Set(targets.map((target) => target.replace('/stale/', '')))
  }

  /** Begins uploads and expires them, repeatedly. */
  async work([first, second]: readonly [Way, Way], round: Round): Promise<void> {
    while (!round.isOver) {
      const [writer, other] = round.random(2) === 0 ? [first, second] : [second, first]
      for (let count = 0; count < 3; count += 1) {
        if (!(await this.#begin(other.connection, round))) return
      }
      if (!(await this.#write(writer.connection, other.connection, round))) return
      if (!(await this.#expire(other, round))) return
      if (!(await this.#finish(writer.connection))) return
    }
  }

  /** Begins an upload and leaves it. */
  async #begin(connection: Connection, round: Round): Promise<boolean> {
    const target = this.#newTarget()
    const bytes = pattern(1 + round.random(50_000), round.random(100_000))
    const begun = { bytes, stored: 0 }
    this.#idle.set(target, begun)
    const range = `bytes 0-${bytes.length - 1}/${LENGTH}`
    const answer = await send(connection, 'PATCH', target, [MESSAGE], message(range, bytes))
    if (answer === null) return false
    expectStatus(answer, 202)
    begun.stored = bytes.length
    return true
  }

  /** Sends the first bytes of an upload, and waits until they are stored. */
  async #write(writer: Connection, other: Connection, round: Round): Promise<boolean> {
    const target = this.#newTarget()
    const bytes = pattern(SIZE, round.random(100_000))
    this.#live = { target, bytes, stored: 0 }
    this.#writer = writer
    const whole = request(
      'PATCH',
      target,
      [MESSAGE],
      message(`bytes 0-${SIZE - 1}/${LENGTH}`, bytes),
    )
    const sent = 1 + round.random(SIZE - 1)
    writer.send(whole.subarray(0, whole.length - SIZE + sent))
    while (this.#live.stored < sent) {
      const answer = await send(other, 'HEAD', target)
      if (answer === null || !writer.isOpen) return false
      if (answer.status === 299) this.#live.stored = Number(field(answer, 'content-length'))
    }
    return true
  }

  async #expire({ connection, server }: Way, round: Round): Promise<boolean> {
    const start = performance.now()
    this.#isExpiring = true
    round.sent('expire', server)
    const answer = await send(connection, 'POST', '/expire')
    if (answer === null) return false
    expectStatus(answer, 200)
    round.score.answered('expire', performance.now() - start)
    this.#isExpiring = false
    const keys = json(answer) as unknown as string[]
    const expired = new Set(keys.map((key) => `/stale/${key}`))
    await this.#checkAlive(expired, round.score)
    const expected = [...this.#idle.keys()].toSorted().join()
    const found = [...expired].toSorted().join()
    if (found !== expected) round.score.violate('expire', `expired ${found}, not ${expected}`)
    this.#idle.clear()
    return true
  }

  /** Checks that the live upload has expired only if its writer was killed. */
  async #checkAlive(expired: Set<string>, score: Score): Promise<void> {
    const live = this.#live
    if (live === null || !expired.delete(live.target)) return
    this.#live = null
    const answer = await this.#writer?.answerOrClose('PATCH')
    if (answer !== null) score.violate('expire', `${live.target} has expired under its writer`)
  }

  /** Sends the rest of the live upload, which must be intact. */
  async #finish(writer: Connection): Promise<boolean> {
    const live = this.#live
    if (live === null || !writer.isOpen) return false
    const answer = await writer.send(live.bytes.subarray(live.stored)).answerOrClose('PATCH')
    if (answer === null) return false
    expectStatus(answer, 202)
    this.#idle.set(live.target, { bytes: live.bytes, stored: SIZE })
    this.#live = null
    return true
  }

  /** Checks the uploads that are served, and continues from them. */
  async check(connection: Connection, score: Score): Promise<void> {
    const wasExpiring = this.#isExpiring
    let gone = 0
    for (const [target, begun] of this.#idle) {
      const isThere = await this.#look(connection, target, begun, wasExpiring, score)
      if (isThere) continue
      this.#idle.delete(target)
      gone += 1
    }
    if (wasExpiring) score.hit('expire', remainsOf(gone, this.#idle.size))
    this.#isExpiring = false
    const live = this.#live
    this.#live = null
    if (live === null) return
    const isThere = await this.#look(connection, live.target, live, false, score)
    if (isThere) this.#idle.set(live.target, live)
  }

  /** Checks one upload, and returns whether it exists. */
  async #look(
    connection: Connection,
    target: string,
    begun: Begun,
    mayBeGone: boolean,
    score: Score,
  ): Promise<boolean> {
    const answer = await connection.send(request('GET', target)).answer('GET')
    const found = versionOf(answer)
    const size = found.bytes?.length ?? 0
    const isKept = size >= begun.stored && startsWith(begun.bytes, found.bytes ?? Buffer.alloc(0))
    const isExpected = found.bytes === null ? mayBeGone || begun.stored === 0 : isKept
    if (!isExpected) {
      const what = `${target} had ${begun.stored} bytes, is ${answer.status} with ${size}`
      score.violate('expire', what)
    }
    if (found.bytes !== null) score.compared('expire', begun.stored)
    begun.stored = size
    return found.bytes !== null
  }

  #newTarget(): string {
    this.#count += 1
    return `/stale/folder/upload-${this.#count}`
  }
}

function remainsOf(gone: number, left: number) {
  if (gone === 0) return 'before'
  return left === 0 ? 'after' : 'part'
}

async function send(
  connection: Connection,
  method: string,
  target: string,
  fields: readonly string[] = [],
  body: Uint8Array | string = '',
): Promise<Answer | null> {
  if (!connection.isOpen) return null
  return connection.send(request(method, target, fields, body)).answerOrClose(method)
}

function expectStatus({ status, body }: Answer, expected: number): void {
  if (status === expected) return
  throw new Error(`expected ${expected}, found ${status}: ${body.toString()}`)
}
