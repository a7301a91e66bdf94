/**
 * A client that changes one resource until the server is killed, and checks the version that is
 * served afterwards.
 */
import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'

import { field, request } from '../../support/wire/client.ts'
import type { Answer, Connection } from '../../support/wire/client.ts'
import { encode, isAcknowledged } from './changes.ts'
import type { Choose } from './changes.ts'
import { ABSENT, describeVersion, remainsOf, startsWith } from './model.ts'
import type { Change, Kind, Remains, Version } from './model.ts'
import { elapse } from './round.ts'
import type { Round, Score } from './round.ts'

/** Number of attempts for a change while the lock of a dead process is recovered. */
const MAX_TRIES = 10

/** A change that was sent, and the version that it was sent to. */
interface Step {
  readonly old: Version
  readonly change: Change
}

/** A connection, and the index of its server in the fleet. */
export interface Way {
  readonly connection: Connection
  readonly server: number
}

/** How a client treats answers that are not acknowledgements. */
export interface Patience {
  /** Pause before a change is sent again, in milliseconds. */
  readonly pause: number
  /**
   * Whether the outcome of the request is unknown after this answer, as it is after the end of the
   * server.
   */
  readonly isUnsure: (answer: Answer) => boolean
}

/** One resource, and the versions that it may have. */
export class TortureClient {
  readonly target: string
  readonly #choose: Choose
  readonly #patience: Patience
  /** The version that was acknowledged last, or was found after a kill. */
  #current: Version = ABSENT
  /** The change that was sent and not answered. */
  #pending: Change | null = null
  /** The changes that were sent since the oldest read in progress began. */
  #steps: Step[] = []
  #observers = 0
  /** The version of each entity tag. */
  readonly #tagged = new Map<string, string>()

  constructor(
    target: string,
    choose: Choose,
    patience: Patience = { pause: 0, isUnsure: () => false },
  ) {
    this.target = target
    this.#choose = choose
    this.#patience = patience
  }

  /** The key of the resource. */
  get key(): string {
    return this.target.replace(/^\/\w+\//, '')
  }

  /** Whether the resource exists. */
  get isThere(): boolean {
    return this.#current.bytes !== null
  }

  /** Changes the resource repeatedly, each time through one of the connections. */
  async work(connections: readonly Connection[], round: Round): Promise<void> {
    this.#steps = []
    while (!round.isOver && (await this.step(connections, round)));
  }

  /** Makes one change, and returns whether it was acknowledged. */
  async step(connections: readonly Connection[], round: Round): Promise<boolean> {
    const change = this.#choose(this.#current, round.random)
    if (this.#observers === 0) this.#steps = []
    this.#steps.push({ old: this.#current, change })
    this.#pending = change
    await round.guard(change.kind, this.#apply(change, connections, round))
    return this.#pending === null
  }

  /** Sends a change until it is acknowledged, or until the server is killed. */
  async #apply(change: Change, connections: readonly Connection[], round: Round): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const server = round.random(connections.length)
      const connection = connections[server]
      if (connection?.isOpen !== true) return
      const start = performance.now()
      round.sent(change.kind, server)
      await sendInPieces(connection, encode(change, this.target), round)
      const answer = await connection.answerOrClose(change.method)
      if (answer === null || this.#patience.isUnsure(answer)) return
      if (isAcknowledged(change, answer.status)) {
        round.score.answered(change.kind, performance.now() - start)
        this.#current = change.next
        this.#pending = null
        return
      }
      // The lock of a process that was killed may take a while to be recovered.
      if (answer.status === 409 && field(answer, 'retry-after') !== null && tries < MAX_TRIES) {
        await elapse(this.#patience.pause)
        continue
      }
      const what = `${change.method} was answered ${answer.status} ${answer.body.toString()}`
      throw new Error(`${this.target}: ${what}`)
    }
  }

  /** Reads the resource once, while it may be changing. */
  async observe({ connection, server }: Way, round: Round): Promise<void> {
    const first = this.#pending === null ? this.#steps.length : this.#steps.length - 1
    const start = performance.now()
    const old = this.#current
    round.sent('read', server)
    connection.send(request('GET', this.target))
    if (round.random(2) === 0) readLate(connection, round.random(10))
    this.#observers += 1
    const answer = await connection.answerOrClose('GET').finally(() => (this.#observers -= 1))
    const steps = this.#steps.slice(first)
    if (answer !== null && this.#patience.isUnsure(answer)) return
    if (answer === null) {
      round.score.hit('read', null)
      this.#checkPiece(connection.rest, old, steps, round.score)
      return
    }
    round.score.answered('read', performance.now() - start)
    if (answer.status >= 500) {
      this.#violate('read', `a GET has failed: ${answer.body.toString()}`, round.score)
      return
    }
    const found = versionOf(answer)
    this.#checkTag(answer, found, round.score)
    const isKnown =
      remainsOf(found, old, null) !== null ||
      steps.some((step) => remainsOf(found, step.old, step.change) !== null)
    if (isKnown) return
    const what = `${describeVersion(found)}, tagged ${field(answer, 'etag')}`
    this.#violate('read', `a GET has found ${what}`, round.score)
  }

  /** Checks that an answer that was cut begins like one of the versions that it may have been. */
  #checkPiece(rest: Buffer, old: Version, steps: readonly Step[], score: Score): void {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) return
    const size = Number(/\r\ncontent-length: (\d+)/i.exec(rest.toString('latin1', 0, end))?.[1])
    const piece = rest.subarray(end + 4)
    const wholes = steps.flatMap((step) => [step.old.bytes, step.change.next.bytes])
    const isKnown = [old.bytes, ...wholes].some(
      (whole) => whole !== null && whole.length >= size && startsWith(whole, piece),
    )
    if (piece.length > 0 && !isKnown) {
      this.#violate('read', `a GET was cut in ${piece.length} of ${size} bytes of a mix`, score)
    }
  }

  /** Whether the last change was not acknowledged. */
  get isPending(): boolean {
    return this.#pending !== null
  }

  /** Checks the version that is served, and continues from it. */
  async check(connection: Connection, score: Score): Promise<void> {
    const change = this.#pending
    const { found, remains } = await this.#compare(connection, score)
    if (change !== null) {
      score.hit(change.kind, remains)
      const sizes = [this.#current, found].map(({ bytes }) => bytes?.length ?? 0)
      score.compared(change.kind, Math.min(...sizes))
    }
    this.#current = found
    this.#pending = null
    this.#steps = []
  }

  /**
   * Checks the version while the pending change may still take effect, because a halted server may
   * have read it.
   */
  async peek(connection: Connection, score: Score): Promise<void> {
    await this.#compare(connection, score)
  }

  async #compare(
    connection: Connection,
    score: Score,
  ): Promise<{ readonly found: Version; readonly remains: Remains | null }> {
    const change = this.#pending
    const head = await connection.send(request('HEAD', this.target)).answer('HEAD')
    const get = await connection.send(request('GET', this.target)).answer('GET')
    const found = versionOf(get)
    this.#checkTag(get, found, score)
    this.#checkHead(head, get, score)
    const remains = remainsOf(found, this.#current, change)
    if (remains === null) {
      const then = change === null ? 'nothing' : `to ${describeVersion(change.next)}`
      const before = `${describeVersion(this.#current)}, changed ${then}`
      this.#violate(change?.kind ?? 'read', `${before}, is ${describeVersion(found)}`, score)
    }
    return { found, remains }
  }

  /** Checks that HEAD has the fields of GET. */
  #checkHead(head: Answer, get: Answer, score: Score): void {
    const names = ['content-length', 'content-range', 'content-type', 'etag', 'last-modified']
    const isSame = names.every((name) => field(head, name) === field(get, name))
    const size = Number(field(head, 'content-length'))
    if (head.status === get.status && isSame && size === get.body.length) return
    this.#violate('read', `HEAD has other fields than GET: ${JSON.stringify(head.fields)}`, score)
  }

  /** Checks that an entity tag has named only this version. */
  #checkTag(answer: Answer, found: Version, score: Score): void {
    const etag = field(answer, 'etag')
    if (etag === null || found.bytes === null) return
    const digest = createHash('sha256').update(found.bytes).digest('base64')
    const named = `${answer.status} ${found.length} ${found.type} ${digest}`
    const earlier = this.#tagged.get(etag) ?? named
    if (earlier !== named) this.#violate('read', `${etag} names ${earlier} and ${named}`, score)
    this.#tagged.set(etag, named)
  }

  #violate(kind: Kind, what: string, score: Score): void {
    score.violate(kind, `${this.target} ${what}`)
  }
}

/**
 * Sends some requests in several pieces, so that the server stores the first ones before the others
 * arrive.
 */
async function sendInPieces(connection: Connection, bytes: Buffer, round: Round): Promise<void> {
  const pieces = round.random(3) === 0 ? 1 + round.random(5) : 1
  for (let piece = 0; piece < pieces; piece += 1) {
    const cut = (index: number): number => Math.floor((bytes.length * index) / pieces)
    connection.send(bytes.subarray(cut(piece), cut(piece + 1)))
    if (piece + 1 < pieces) await elapse(round.random(4))
  }
}

/** Reads the answer late, so that it waits in the connection. */
function readLate({ socket }: Connection, milliseconds: number): void {
  socket.pause()
  setTimeout(() => socket.resume(), milliseconds)
}

/** Returns the version that a GET has returned. */
export function versionOf(answer: Answer): Version {
  const { status, body } = answer
  if (status === 404) return ABSENT
  const declared = /\/(\d+)$/.exec(field(answer, 'content-range') ?? '')?.[1]
  const type = field(answer, 'content-type') ?? ''
  return {
    bytes: body,
    complete: status === 200,
    length: declared === undefined ? body.length : Number(declared),
    type,
  }
}
