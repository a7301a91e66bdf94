/**
 * Kills and halts servers on one bucket in the middle of their work, while a proxy loses, repeats and delays their
 * requests to the store. Then checks that the other servers serve only content that the protocol allows.
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

/** Options of a run. */
export interface S3TortureOptions {
  /** URL of the store behind the proxy. */
  readonly engine: string
  /** Number of kills and halts that must hit each kind of work in the middle. */
  readonly kills: number
  readonly servers: 2 | 3
  /** Percentage of the requests to the store that meet a fault. */
  readonly faults: number
  /** The faults to choose from. @default all */
  readonly kinds?: readonly WireFault[]
  readonly seed: string
  /** Called after each round. */
  readonly onRound?: (score: Score) => void
}

/** The kinds of work of the clients: all except expiry and sweeps. */
const S3_KINDS: readonly Kind[] = KINDS.filter((kind) => kind !== 'expire' && kind !== 'sweep')

/** After this answer the outcome of a request is unknown, because the store has not answered the server in time. */
const PATIENCE = {
  pause: 100,
  isUnsure: (answer: Answer): boolean =>
    answer.status === 503 && json(answer)['code'] === 'ERR_STORAGE_UNAVAILABLE',
}

/** Longer than a resumed server works on requests from before its halt, in milliseconds. */
const AFTERMATH = 1000

/** Runs rounds until `kills` kills and halts have hit each kind of work. */
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

  /** Lets all clients work, kills or halts one server in the middle, and checks the content that the others serve. */
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
   * Lets the others write before the halted server resumes, so that its writes from before the halt must fail. Only
   * a request that it has not read yet may take effect.
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

  /** Checks all servers. The first one shows the outcome of the cut requests, and the others must show the same. */
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
