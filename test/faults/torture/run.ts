/**
 * Kills or halts servers in the middle of their work, over and over, and compares the content that
 * is served afterwards with the content that the protocol allows. The seed repeats the requests and
 * the aims; the moments depend on the machine.
 */
import { Connection, request } from '../../support/wire/client.ts'
import { kill } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'
import { CHOICES } from './changes.ts'
import { TortureClient } from './client.ts'
import type { Patience } from './client.ts'
import { Fleet } from './fleet.ts'
import { createRandom, pick } from './model.ts'
import type { Kind, Random } from './model.ts'
import { Round, Score, elapse } from './round.ts'

/**
 * The servers of a run and their storage, with the work and the checks that only this storage
 * needs.
 */
export interface Subject {
  /** Number of servers on the same data. */
  readonly servers: number
  /** The kinds of work that must be hit in the middle. */
  readonly kinds: readonly Kind[]
  /** Whether every third round halts a server instead of killing it. */
  readonly mayHalt: boolean
  /** How the clients treat answers other than acknowledgements. */
  readonly patience?: Patience
  /** Number of connections to each server that `work` needs. */
  readonly connections: number
  /** Prepares the storage before the first server starts. */
  readonly start?: () => Promise<void>
  readonly stop?: () => Promise<void>
  readonly startServer: () => Promise<ServerProcess>
  /** Begins the own work of a round. */
  readonly work: (
    connections: readonly (readonly Connection[])[],
    round: Round,
  ) => readonly Promise<void>[]
  /**
   * Ends the own work of a round: the requests to the storage from before have taken effect then.
   */
  readonly endWork?: () => Promise<void>
  /** Checks the own work on one server. */
  readonly check?: (connection: Connection, score: Score) => Promise<void>
  /** Starts a server in place of one that was killed. */
  readonly replace: (run: Run, victim: ServerProcess) => Promise<void>
  /** Checks the storage after the last round. */
  readonly finish?: (run: Run) => Promise<void>
}

/** How long a run lasts, and what it repeats. */
export interface RunOptions {
  /** Number of kills and halts that must hit each kind of work in the middle. */
  readonly kills: number
  readonly seed: string
  /** Called after each round. */
  readonly onRound?: (score: Score) => void
}

/** Number of connections to each server that only read. */
const READERS = 2

/** Longer than a resumed server works on requests from before its halt, in milliseconds. */
const AFTERMATH = 1000

/** Runs rounds until each kind of work was hit often enough. */
export async function runRounds(subject: Subject, options: RunOptions): Promise<Score> {
  const run = new Run(subject, options)
  try {
    await run.start()
    while (run.isUnfinished) {
      await run.round()
      options.onRound?.(run.score)
    }
    await subject.finish?.(run)
  } finally {
    await run.stop()
  }
  return run.score
}

/** The state of a run. */
export class Run {
  readonly score = new Score()
  readonly kills: number
  readonly random: Random
  readonly fleet: Fleet
  readonly clients: readonly TortureClient[]
  readonly #subject: Subject

  constructor(subject: Subject, { kills, seed }: RunOptions) {
    this.#subject = subject
    this.kills = kills
    this.random = createRandom(seed)
    this.fleet = new Fleet(subject.servers, () => subject.startServer())
    this.clients = CHOICES.map(
      ([name, choose]) =>
        new TortureClient(`/files/${name}/folder/resource`, choose, subject.patience),
    )
  }

  get isUnfinished(): boolean {
    return this.#missing().length > 0 && !this.score.isHopeless
  }

  async start(): Promise<void> {
    await this.#subject.start?.()
    await this.fleet.start()
  }

  async stop(): Promise<void> {
    for (const { child } of this.fleet.servers) child.kill('SIGCONT')
    await this.fleet.stop()
    await this.#subject.stop?.()
  }

  /**
   * Lets all clients work, kills or halts one server in the middle, and checks the content that is
   * served.
   */
  async round(): Promise<void> {
    // A sweep is hit by a kill of its own.
    const [aim = 'segment'] = this.#missing().filter((kind) => kind !== 'sweep')
    const round = new Round(this.score, this.random, aim)
    const own = this.#subject.connections
    const connections = await this.fleet.connect(this.clients.length + own + READERS)
    const atWork = Promise.all(this.#work(connections, round))
    await Promise.race([round.moment(), atWork])
    round.isOver = true

    const victim = this.fleet.servers[round.server]
    if (victim === undefined) throw new Error(`there is no server ${round.server}`)
    const isHalted = this.#subject.mayHalt && this.random(3) === 0
    if (isHalted) {
      victim.child.kill('SIGSTOP')
      // A halted server answers nothing, so that its clients give up.
      for (const each of connections) each[round.server]?.socket.destroy()
    } else await kill(victim.child)
    this.score.kills += 1
    await atWork
    for (const connection of connections.flat()) connection.socket.destroy()
    await this.#subject.endWork?.()

    const others = this.fleet.servers.filter((server) => server !== victim)
    if (isHalted) await this.#resume(victim, others, round)
    else {
      await this.check(others)
      await this.#subject.replace(this, victim)
    }
  }

  #work(connections: readonly (readonly Connection[])[], round: Round): readonly Promise<void>[] {
    const rest = connections.slice(this.clients.length)
    const own = rest.splice(0, this.#subject.connections)
    return [
      ...this.clients.map((client, index) => client.work(connections[index] ?? [], round)),
      ...this.#subject.work(own, round),
      ...rest.map((each) => round.guard('read', this.#read(each, round))),
    ]
  }

  async #read(connections: readonly Connection[], round: Round): Promise<void> {
    while (!round.isOver) {
      const server = round.random(connections.length)
      const connection = connections[server]
      if (connection?.isOpen !== true) return
      await pick(this.clients, round.random).observe({ connection, server }, round)
    }
  }

  /**
   * Lets the others write before the halted server resumes, so that its writes from before the halt
   * must fail. Only a request that it has not read yet may take effect.
   */
  async #resume(
    victim: ServerProcess,
    others: readonly ServerProcess[],
    round: Round,
  ): Promise<void> {
    for (const client of this.clients) {
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
    await this.#subject.endWork?.()
    await this.check(this.fleet.servers)
  }

  /**
   * Checks servers. The first one shows the outcome of the cut requests, and the others must show
   * the same.
   */
  async check(servers: readonly ServerProcess[]): Promise<void> {
    for (const { port } of servers) {
      const connection = await Connection.open(port)
      for (const client of this.clients) await client.check(connection, this.score)
      await this.#subject.check?.(connection, this.score)
      connection.socket.destroy()
    }
  }

  /** Sends requests without content to any server. */
  async send(method: string, targets: readonly string[]): Promise<void> {
    const connection = await Connection.open(pick(this.fleet.servers, this.random).port)
    for (const target of targets) {
      await connection.send(request(method, target)).answer(method)
    }
    connection.socket.destroy()
  }

  /** The keys of the resources that exist. */
  get keys(): ReadonlySet<string> {
    return new Set(this.clients.flatMap(({ key, isThere }) => (isThere ? key : [])))
  }

  #missing(): readonly Kind[] {
    const { kinds } = this.#subject
    return this.score.missing(this.kills).filter((kind) => kinds.includes(kind))
  }
}
