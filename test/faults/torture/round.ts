/** One round of the torture, from a start of the server to its kill, and the score of all rounds. */
import { performance } from 'node:perf_hooks'

import { KINDS } from './model.ts'
import type { Kind, Random, Remains } from './model.ts'

/** What came of one kind of work. */
export interface Row {
  /** Kills that came after the request was sent and before its answer. */
  middle: number
  /** What these kills have left of the work. */
  before: number
  part: number
  after: number
  /** Requests that were answered. */
  answered: number
  /** Bytes that were acknowledged before a kill, and compared after it. */
  bytes: number
  violations: number
}

/** The score of all rounds. */
export class Score {
  readonly rows: ReadonlyMap<Kind, Row>
  readonly violations: string[] = []
  kills = 0
  /** How long a request takes in the middle, in milliseconds. */
  readonly #durations = new Map<Kind, number>()

  constructor() {
    this.rows = new Map(KINDS.map((kind) => [kind, newRow()]))
  }

  /** Counts a kill that came in the middle. */
  hit(kind: Kind, remains: Remains | null): void {
    const row = this.row(kind)
    row.middle += 1
    if (remains !== null) row[remains] += 1
  }

  /** Counts an answer, and learns how long it took. */
  answered(kind: Kind, duration: number): void {
    this.row(kind).answered += 1
    this.#durations.set(kind, this.duration(kind) * 0.9 + duration * 0.1)
  }

  /** Counts bytes that were acknowledged and are there. */
  compared(kind: Kind, bytes: number): void {
    this.row(kind).bytes += bytes
  }

  /** Counts what must not be. */
  violate(kind: Kind, what: string): void {
    this.row(kind).violations += 1
    this.violations.push(`kill ${this.kills}, ${kind}: ${what}`)
  }

  /** More of the same would tell nothing new. */
  get isHopeless(): boolean {
    return this.violations.length >= 20
  }

  duration(kind: Kind): number {
    return this.#durations.get(kind) ?? 20
  }

  /** The kinds that have been hit less often than this, the rarest first. */
  missing(kills: number): readonly Kind[] {
    const hits = (kind: Kind): number => this.row(kind).middle
    return KINDS.filter((kind) => hits(kind) < kills).toSorted((a, b) => hits(a) - hits(b))
  }

  row(kind: Kind): Row {
    const row = this.rows.get(kind)
    if (row === undefined) throw new Error(`${kind} is no kind`)
    return row
  }
}

function newRow(): Row {
  return { middle: 0, before: 0, part: 0, after: 0, answered: 0, bytes: 0, violations: 0 }
}

/** The work between a start and a kill. It aims at the middle of one kind of request. */
export class Round {
  readonly score: Score
  readonly random: Random
  readonly aim: Kind
  /** Nobody is to begin anything any more. */
  isOver = false
  #left: number
  #server = 0
  #reach = (): void => undefined
  readonly #reached: Promise<void>

  constructor(score: Score, random: Random, aim: Kind) {
    this.score = score
    this.random = random
    this.aim = aim
    // Before an expiry there are four other requests.
    this.#left = 1 + random(aim === 'expire' ? 2 : 4)
    this.#reached = new Promise((resolve) => {
      this.#reach = resolve
    })
  }

  /** The server that has the request which the round aims at, as the fleet counts them. */
  get server(): number {
    return this.#server
  }

  /** Tells that a request was sent, and to which server. */
  sent(kind: Kind, server: number): void {
    if (kind !== this.aim || this.#left === 0) return
    this.#left -= 1
    if (this.#left > 0) return
    this.#server = server
    this.#reach()
  }

  /** Counts work that fails although no server was killed under it, and ends the round. */
  async guard(kind: Kind, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.score.violate(kind, error instanceof Error ? error.message : String(error))
      this.#reach() // What the round aims at may never come now.
    }
  }

  /** Resolves at a moment in the middle of the work that the round aims at. */
  async moment(): Promise<void> {
    await this.#reached
    await elapse((this.random(1200) / 1000) * this.score.duration(this.aim))
  }
}

/** Waits to a fraction of a millisecond, which no timer does. */
export async function elapse(milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds
  if (milliseconds > 2) await new Promise((resolve) => setTimeout(resolve, milliseconds - 1))
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
}
