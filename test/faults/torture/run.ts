/**
 * Kills servers in the middle of their work, over and over, and holds what is there to what may be
 * there. The seed repeats what is sent and what is aimed at; the moments are those of the machine.
 */
import path from 'node:path'

import { Connection, request } from '../../support/wire/client.ts'
import { kill, startProcess } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'
import { CHOICES } from './changes.ts'
import type { TortureChildOptions } from './child.ts'
import { TortureClient } from './client.ts'
import type { Way } from './client.ts'
import { ExpiryClient } from './expiry.ts'
import { Fleet } from './fleet.ts'
import { createRandom, pick } from './model.ts'
import type { Random } from './model.ts'
import { Round, Score, elapse } from './round.ts'
import { TortureStore } from './store.ts'

/** How servers are tortured. */
export interface TortureOptions {
  readonly directory: string
  /** Kills that are to hit each kind of work in the middle. */
  readonly kills: number
  /** Processes that share the directory: one, or two of which one is killed at a time. */
  readonly servers: 1 | 2
  readonly seed: string
  /**
   * Patches of finished files are layers, and each one is rebuilt soon.
   *
   * @default false
   */
  readonly hasLayers?: boolean
  /** Called after each round. */
  readonly onRound?: (score: Score) => void
}

/** Old files for a start to remove: enough for a kill to come in between. */
const PLANTED = 120
/** How long a start may take to clean up, in milliseconds: it comes again after 16 s to keys that were written. */
const LONGEST_SWEEP = 25_000

/** Runs until each kind of work was hit often enough. */
export async function torture(options: TortureOptions): Promise<Score> {
  const run = new Run(options)
  try {
    await run.start()
    while (run.score.missing(options.kills).length > 0 && !run.score.isHopeless) {
      await run.round()
      options.onRound?.(run.score)
    }
    await run.finish()
  } finally {
    await run.stop()
  }
  return run.score
}

class Run {
  readonly score = new Score()
  readonly #kills: number
  readonly #random: Random
  readonly #fleet: Fleet
  readonly #clients: readonly TortureClient[]
  readonly #expiry = new ExpiryClient()
  readonly #files: TortureStore
  readonly #stale: TortureStore

  constructor({ directory, kills, servers, seed, hasLayers = false }: TortureOptions) {
    this.#kills = kills
    this.#random = createRandom(seed)
    const child: TortureChildOptions = { directory, isShared: servers > 1, hasLayers }
    const entry = '../../faults/torture/child.ts'
    this.#fleet = new Fleet(servers, () => startProcess(child, { entry }))
    this.#clients = CHOICES.map(
      ([name, choose]) => new TortureClient(`/files/${name}/folder/resource`, choose),
    )
    this.#files = new TortureStore(path.join(directory, 'files'))
    this.#stale = new TortureStore(path.join(directory, 'stale'))
  }

  start(): Promise<void> {
    return this.#fleet.start()
  }

  stop(): Promise<void> {
    return this.#fleet.stop()
  }

  /** Lets all clients work, kills a server in the middle, and checks what is there then. */
  async round(): Promise<void> {
    const [aim = 'segment'] = this.score.missing(this.#kills).filter((kind) => kind !== 'sweep')
    const round = new Round(this.score, this.#random, aim)
    const connections = await this.#fleet.connect(this.#clients.length + 4)

    const works = this.#clients.map((client, index) => client.work(connections[index] ?? [], round))
    const [writer = [], expirer = [], ...readers] = connections.slice(this.#clients.length)
    const expiry = this.#expiry.work([wayTo(writer, 0), wayTo(expirer, expirer.length - 1)], round)
    works.push(round.guard('expire', expiry))
    works.push(...readers.map((each) => round.guard('read', this.#read(each, round))))
    const atWork = Promise.all(works)
    await Promise.race([round.moment(), atWork])
    round.isOver = true
    const victim = this.#fleet.servers[round.server]
    if (victim === undefined) throw new Error(`there is no server ${round.server}`)
    await kill(victim.child)
    this.score.kills += 1
    await atWork
    for (const connection of connections.flat()) connection.socket.destroy()

    await this.#recover(victim)
  }

  async #read(connections: readonly Connection[], round: Round): Promise<void> {
    while (!round.isOver) {
      const server = round.random(connections.length)
      const connection = connections[server]
      if (connection?.isOpen !== true) return
      await pick(this.#clients, round.random).observe({ connection, server }, round)
    }
  }

  /** Starts the server anew; as long as that is missing, it is killed while it cleans up. */
  async #recover(victim: ServerProcess): Promise<void> {
    const survivor = this.#fleet.servers.find((server) => server !== victim)
    if (survivor !== undefined) await this.#check(survivor)
    this.#makeOld(survivor === undefined)
    const planted = this.#files.plant(PLANTED)
    let server = await this.#fleet.replace(victim)
    const isMissing = this.score.row('sweep').middle < this.#kills
    if (isMissing) {
      await this.#killInSweep(server, planted)
      server = await this.#fleet.replace(server)
    }
    await this.#check(server)
    // Otherwise the clients get to work while the start still cleans up.
    if (this.#random(2) === 0) await this.#expectClean()
  }

  /** Makes what the kill has left old enough to be removed. */
  #makeOld(isIdle: boolean): void {
    if (isIdle) {
      this.#files.ageAll()
      this.#stale.ageAll()
    } else {
      this.#files.ageLeftovers(this.#keys())
      this.#stale.ageLeftovers(this.#expiry.keys)
    }
  }

  /** Kills a server when it has removed some of what it will. */
  async #killInSweep({ port, child }: ServerProcess, planted: readonly string[]): Promise<void> {
    const connection = await Connection.open(port)
    connection.send(request('HEAD', '/files/any'))
    const most = 1 + this.#random(planted.length - 1)
    const end = performance.now() + LONGEST_SWEEP
    while (this.#files.count(planted) > most && performance.now() < end) await elapse(0)
    await elapse(this.#random(1000) / 1000)
    await kill(child)
    this.score.kills += 1
    const left = this.#files.count(planted)
    connection.socket.destroy()
    if (left > 0 && left < planted.length) this.score.hit('sweep', 'part')
  }

  async #check({ port }: ServerProcess): Promise<void> {
    const connection = await Connection.open(port)
    for (const client of this.#clients) await client.check(connection, this.score)
    await this.#expiry.check(connection, this.score)
    connection.socket.destroy()
  }

  /** Waits until the start has removed all that no resource needs. */
  async #expectClean(): Promise<void> {
    const start = performance.now()
    const left = await untilEmpty(() => [
      ...this.#files.garbage(this.#keys()),
      ...this.#stale.garbage(this.#expiry.keys),
    ])
    if (left.length === 0) this.score.answered('sweep', performance.now() - start)
    else this.score.violate('sweep', `a start has left ${left.join(' ')}`)
  }

  /** Removes everything: then nothing is left, at the latest after the next start. */
  async finish(): Promise<void> {
    const targets = [
      ...this.#clients.map(({ target }) => target),
      ...Array.from(this.#expiry.keys, (key) => `/stale/${key}`),
    ]
    await this.#send('DELETE', targets)
    for (const { child } of this.#fleet.servers) await kill(child)
    this.#makeOld(true)
    for (const server of this.#fleet.servers) await this.#fleet.replace(server)
    for (const method of ['PUT', 'DELETE']) await this.#send(method, ['/files/any', '/stale/any'])
    const left = await untilEmpty(() =>
      [this.#files, this.#stale].flatMap((store) => [
        ...store.leftovers(new Set()),
        ...store.published(),
        ...store.locks(),
      ]),
    )
    if (left.length > 0) this.score.violate('sweep', `in the end there is ${left.join(' ')}`)
  }

  async #send(method: string, targets: readonly string[]): Promise<void> {
    const connection = await Connection.open(pick(this.#fleet.servers, this.#random).port)
    for (const target of targets) {
      await connection.send(request(method, target)).answer(method)
    }
    connection.socket.destroy()
  }

  #keys(): ReadonlySet<string> {
    return new Set(this.#clients.flatMap(({ key, isThere }) => (isThere ? key : [])))
  }
}

function wayTo(connections: readonly Connection[], server: number): Way {
  const connection = connections[server]
  if (connection === undefined) throw new Error(`there is no connection to server ${server}`)
  return { connection, server }
}

/** Looks until nothing is left, or for as long as a start may take; what is left then. */
async function untilEmpty(look: () => readonly string[]): Promise<readonly string[]> {
  const end = performance.now() + LONGEST_SWEEP
  for (;;) {
    const left = look()
    if (left.length === 0 || performance.now() > end) return left
    await elapse(2)
  }
}
