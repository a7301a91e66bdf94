/**
 * One round of a torture run, from the start of the work to the kill of a server, and the score of
 * all rounds.
 */
import { performance } from 'node:perf_hooks'

import { KINDS } from './model.ts'
import type { Kind, Random, Remains } from './model.ts'

/** Counts of one kind of work. */
export interface Row {
  /** Kills between the request and its answer. */
  middle: number
  /** Those of these kills that left nothing, a part or all of the change. */
  before: number
  part: number
  after: number
  /** Number of answered requests. */
  answered: number
  /** Number of bytes that were acknowledged before a kill and compared after it. */
  bytes: number
  violations: number
}

/** The score of all rounds. */
export class Score {
  readonly rows: ReadonlyMap<Kind, Row>
  readonly violations: string[] = []
  kills = 0
  /** Moving average of the duration of a request, in milliseconds. */
  readonly #durations = new Map<Kind, number>()

  constructor() {
    this.rows = new Map(KINDS.map((kind) => [kind, newRow()]))
  }

  /** Counts a kill in the middle of a request. */
  hit(kind: Kind, remains: Remains | null): void {
    const row = this.row(kind)
    row.middle += 1
    if (remains !== null) row[remains] += 1
  }

  /** Counts an answer, and adds its duration to the average. */
  answered(kind: Kind, duration: number): void {
    this.row(kind).answered += 1
    this.#durations.set(kind, this.duration(kind) * 0.9 + duration * 0.1)
  }

  /** Counts acknowledged bytes that were found again. */
  compared(kind: Kind, bytes: number): void {
    this.row(kind).bytes += bytes
  }

  /** Counts a violation of the protocol. */
  violate(kind: Kind, what: string): void {
    this.row(kind).violations += 1
    this.violations.push(`kill ${this.kills}, ${kind}: ${what}`)
  }

  /** Whether the run has found enough violations to stop early. */
  get isHopeless(): boolean {
    return this.violations.length >= 20
  }

  duration(kind: Kind): number {
    return this.#durations.get(kind) ?? 20
  }

  /** Returns the kinds that were hit less than `kills` times, the rarest first. */
  missing(kills: number): readonly Kind[] {
    const hits = (kind: Kind): number => this.row(kind).middle
    return KINDS.filter((kind) => hits(kind) < kills).toSorted((a, b) => hits(a) - hits(b))
  }

  row(kind: Kind): Row {
    const row = this.rows.get(kind)
    if (row === undefined) throw new Error(`${kind} is not a kind of work`)
    return row
  }
}

function newRow(): Row {
  return { middle: 0, before: 0, part: 0, after: 0, answered: 0, bytes: 0, violations: 0 }
}

/** The work up to one kill, which is aimed at the middle of one kind of request. */
export class Round {
  readonly score: Score
  readonly random: Random
  readonly aim: Kind
  /** Whether the clients must not send another request. */
  isOver = false
  #left: number
  #server = 0
  #reach = (): void => undefined
  readonly #reached: Promise<void>

  constructor(score: Score, random: Random, aim: Kind) {
    this.score = score
    this.random = random
    this.aim = aim
    // Four other requests come before each expiry, so that a later one would take too long.
    this.#left = 1 + random(aim === 'expire' ? 2 : 4)
    this.#reached = new Promise((resolve) => {
      this.#reach = resolve
    })
  }

  /** Index in the fleet of the server that has received the request at which the kill is aimed. */
  get server(): number {
    return this.#server
  }

  /** Records that a request was sent to a server. */
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
      this.#reach() // The request at which the kill is aimed may never be sent now.
    }
  }

  /** Resolves in the middle of the request at which the kill is aimed. */
  async moment(): Promise<void> {
    await this.#reached
    await elapse((this.random(1200) / 1000) * this.score.duration(this.aim))
  }
}

/** Waits with a precision below a millisecond, which timers do not have. */
export async function elapse(milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds
  if (milliseconds > 2) await new Promise((resolve) => setTimeout(resolve, milliseconds - 1))
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
}
