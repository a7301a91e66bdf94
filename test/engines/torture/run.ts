/**
 * Kills and halts servers on one bucket in the middle of their work, behind a proxy that loses, repeats and delays
 * their requests to the store, and compares what the others serve then with what they may serve.
 */
import { randomBytes } from 'node:crypto'

import { CreateBucketCommand } from '@aws-sdk/client-s3'

import { Connection, json, request } from '../../support/wire/client.ts'
import type { Answer } from '../../support/wire/client.ts'
import { kill, startProcess } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'
import { newClient } from '../../support/s3/engine-process.ts'
import { FaultProxy, WIRE_FAULTS } from '../../support/s3/fault-proxy.ts'
import type { WireFault } from '../../support/s3/fault-proxy.ts'
import { CHOICES } from '../../faults/torture/changes.ts'
import { TortureClient } from '../../faults/torture/client.ts'
import { Fleet } from '../../faults/torture/fleet.ts'
import { KINDS, createRandom, pick } from '../../faults/torture/model.ts'
import type { Kind, Random } from '../../faults/torture/model.ts'
import { Round, Score, elapse } from '../../faults/torture/round.ts'
import type { S3ChildOptions } from './child.ts'

/** How servers are tortured. */
export interface S3TortureOptions {
  /** URL of the store, which the proxy stands before. */
  readonly engine: string
  /** Kills and halts that are to hit each kind of work in the middle. */
  readonly kills: number
  readonly servers: 2 | 3
  /** Requests to the store in a hundred that meet a fault. */
  readonly faults: number
  /** The faults that they meet. @default all */
  readonly kinds?: readonly WireFault[]
  readonly seed: string
  /** Called after each round. */
  readonly onRound?: (score: Score) => void
}

/** The kinds of work that the clients do here. */
const S3_KINDS: readonly Kind[] = KINDS.filter((kind) => kind !== 'expire' && kind !== 'sweep')

/** What a request leaves open when it is answered so: the store has not answered the server in time. */
const PATIENCE = {
  pause: 100,
  isUnsure: (answer: Answer): boolean =>
    answer.status === 503 && json(answer)['code'] === 'ERR_STORAGE_UNAVAILABLE',
}

/** Beyond all that a halted server still does with requests that were under way, in milliseconds. */
const AFTERMATH = 1000

/** Runs until each kind of work was hit often enough. */
export async function tortureS3(options: S3TortureOptions): Promise<Score> {
  const run = new Run(options)
  try {
    await run.start()
    while (run.isUnfinished) {
      await run.round()
      options.onRound?.(run.score)
    }
  } finally {
    await run.stop()
  }
  return run.score
}

class Run {
  readonly score = new Score()
  readonly #options: S3TortureOptions
  readonly #random: Random
  readonly #bucket = `torture-${randomBytes(8).toString('hex')}`
  readonly #proxy: FaultProxy
  readonly #fleet: Fleet
  readonly #clients: readonly TortureClient[]

  constructor(options: S3TortureOptions) {
    this.#options = options
    this.#random = createRandom(options.seed)
    this.#proxy = new FaultProxy(options.engine)
    this.#fleet = new Fleet(options.servers, () => this.#startServer())
    this.#clients = CHOICES.map(
      ([name, choose]) => new TortureClient(`/files/${name}/folder/resource`, choose, PATIENCE),
    )
  }

  get isUnfinished(): boolean {
    return this.#missing().length > 0 && !this.score.isHopeless
  }

  async start(): Promise<void> {
    const client = newClient(this.#options.engine)
    await client.send(new CreateBucketCommand({ Bucket: this.#bucket }))
    client.destroy()
    await this.#proxy.start()
    await this.#fleet.start()
  }

  async stop(): Promise<void> {
    for (const { child } of this.#fleet.servers) child.kill('SIGCONT')
    await this.#fleet.stop()
    await this.#proxy.stop()
  }

  /** Lets all clients work, kills or halts a server in the middle, and checks what the others serve. */
  async round(): Promise<void> {
    const [aim = 'segment'] = this.#missing()
    const round = new Round(this.score, this.#random, aim)
    const connections = await this.#fleet.connect(this.#clients.length + 2)
    this.#proxy.decide = () => this.#chooseFault()

    const works = this.#clients.map((client, index) => client.work(connections[index] ?? [], round))
    const readers = connections.slice(this.#clients.length)
    works.push(...readers.map((each) => round.guard('read', this.#read(each, round))))
    const atWork = Promise.all(works)
    await Promise.race([round.moment(), atWork])
    round.isOver = true
    const victim = this.#fleet.servers[round.server]
    if (victim === undefined) throw new Error(`there is no server ${round.server}`)
    const isHalted = this.#random(3) === 0
    if (isHalted) victim.child.kill('SIGSTOP')
    else await kill(victim.child)
    this.score.kills += 1
    // A halted server answers nothing, so that its clients give up.
    for (const each of connections) each[round.server]?.socket.destroy()
    await atWork
    for (const connection of connections.flat()) connection.socket.destroy()
    this.#proxy.decide = () => null
    await this.#proxy.settle()

    const others = this.#fleet.servers.filter((server) => server !== victim)
    if (isHalted) {
      await this.#resume(victim, others, round)
    } else {
      await this.#checkAll(others)
      await this.#fleet.replace(victim)
    }
  }

  /**
   * Lets the others write first, so that what the halted server still has in mind has no effect any more. Only a
   * request that it has not read yet may come true when it resumes.
   */
  async #resume(
    victim: ServerProcess,
    others: readonly ServerProcess[],
    round: Round,
  ): Promise<void> {
    for (const client of this.#clients) {
      const connections = await Promise.all(others.map(({ port }) => Connection.open(port)))
      const [first] = connections
      if (first === undefined) throw new Error('no server is left')
      if (client.isPending) await client.peek(first, this.score)
      else await client.step(connections, round)
      for (const { socket } of connections) socket.destroy()
    }
    victim.child.kill('SIGCONT')
    const connection = await Connection.open(victim.port)
    await connection.send(request('HEAD', '/files/any')).answer('HEAD')
    connection.socket.destroy()
    await elapse(AFTERMATH)
    await this.#proxy.settle()
    await this.#checkAll(this.#fleet.servers)
  }

  /** The first server shows what came of the cut requests, and the others show the same. */
  async #checkAll(servers: readonly ServerProcess[]): Promise<void> {
    for (const { port } of servers) {
      const connection = await Connection.open(port)
      for (const client of this.#clients) await client.check(connection, this.score)
      connection.socket.destroy()
    }
  }

  async #read(connections: readonly Connection[], round: Round): Promise<void> {
    while (!round.isOver) {
      const server = round.random(connections.length)
      const connection = connections[server]
      if (connection?.isOpen !== true) return
      await pick(this.#clients, round.random).observe({ connection, server }, round)
    }
  }

  #chooseFault(): WireFault | null {
    const { faults, kinds = WIRE_FAULTS } = this.#options
    return this.#random(100) < faults ? pick(kinds, this.#random) : null
  }

  #missing(): readonly Kind[] {
    return this.score.missing(this.#options.kills).filter((kind) => S3_KINDS.includes(kind))
  }

  #startServer(): Promise<ServerProcess> {
    const options: S3ChildOptions = {
      endpoint: this.#proxy.endpoint,
      bucket: this.#bucket,
    }
    return startProcess(options, { entry: '../../engines/torture/child.ts' })
  }
}
