/**
 * Servers on one directory: besides the work of all runs, uploads expire, and starts remove
 * leftover files.
 */
import path from 'node:path'

import { Connection, request } from '../../support/wire/client.ts'
import { kill, startProcess } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'
import type { TortureChildOptions } from './child.ts'
import type { Way } from './client.ts'
import { ExpiryClient } from './expiry.ts'
import { KINDS } from './model.ts'
import { elapse } from './round.ts'
import type { Round, Score } from './round.ts'
import { runRounds } from './run.ts'
import type { Run, RunOptions, Subject } from './run.ts'
import { TortureStore } from './store.ts'

/** Options of a run on files. */
export interface FileTortureOptions extends RunOptions {
  readonly directory: string
  /** Processes that share the directory: one, or two of which one is killed at a time. */
  readonly servers: 1 | 2
  /**
   * Patches of finished files are layers, and each one is rebuilt soon.
   *
   * @default false
   */
  readonly hasLayers?: boolean
}

/** Number of old files that a start has to remove: enough that a kill comes in between. */
const PLANTED = 120
/**
 * Longest clean-up of a start, in milliseconds: after 16 s it returns to keys that were written
 * meanwhile.
 */
const LONGEST_SWEEP = 25_000

/** Runs rounds on a directory. */
export function tortureFiles(options: FileTortureOptions): Promise<Score> {
  return runRounds(new FileSubject(options), options)
}

class FileSubject implements Subject {
  readonly servers: number
  readonly kinds = KINDS
  readonly mayHalt = false
  readonly connections = 2
  readonly #child: TortureChildOptions
  readonly #expiry = new ExpiryClient()
  readonly #files: TortureStore
  readonly #stale: TortureStore

  constructor({ directory, servers, hasLayers = false }: FileTortureOptions) {
    this.servers = servers
    this.#child = { directory, isShared: servers > 1, hasLayers }
    this.#files = new TortureStore(path.join(directory, 'files'))
    this.#stale = new TortureStore(path.join(directory, 'stale'))
  }

  startServer(): Promise<ServerProcess> {
    return startProcess(this.#child, { entry: '../../faults/torture/child.ts' })
  }

  work(
    [writer = [], expirer = []]: readonly (readonly Connection[])[],
    round: Round,
  ): readonly Promise<void>[] {
    const ways = [wayTo(writer, 0), wayTo(expirer, expirer.length - 1)] as const
    return [round.guard('expire', this.#expiry.work(ways, round))]
  }

  check(connection: Connection, score: Score): Promise<void> {
    return this.#expiry.check(connection, score)
  }

  /**
   * Starts a server. As long as kills of a clean-up are missing, kills it in its clean-up and
   * starts another one.
   */
  async replace(run: Run, victim: ServerProcess): Promise<void> {
    this.#makeOld(run, this.servers === 1)
    const planted = this.#files.plant(PLANTED)
    let server = await run.fleet.replace(victim)
    const isMissing = run.score.row('sweep').middle < run.kills
    if (isMissing) {
      await this.#killInSweep(run, server, planted)
      server = await run.fleet.replace(server)
    }
    await run.check([server])
    // Otherwise the clients begin to work while the start still cleans up.
    if (run.random(2) === 0) await this.#expectClean(run)
  }

  /** Makes the files that the kill has left old enough to be removed. */
  #makeOld(run: Run, isIdle: boolean): void {
    if (isIdle) {
      this.#files.ageAll()
      this.#stale.ageAll()
    } else {
      this.#files.ageLeftovers(run.keys)
      this.#stale.ageLeftovers(this.#expiry.keys)
    }
  }

  /** Kills a server when it has removed some of the planted files. */
  async #killInSweep(
    run: Run,
    { port, child }: ServerProcess,
    planted: readonly string[],
  ): Promise<void> {
    const connection = await Connection.open(port)
    connection.send(request('HEAD', '/files/any'))
    const most = 1 + run.random(planted.length - 1)
    const end = performance.now() + LONGEST_SWEEP
    while (this.#files.count(planted) > most && performance.now() < end) await elapse(0)
    await elapse(run.random(1000) / 1000)
    await kill(child)
    run.score.kills += 1
    const left = this.#files.count(planted)
    connection.socket.destroy()
    if (left > 0 && left < planted.length) run.score.hit('sweep', 'part')
  }

  /** Waits until the start has removed every file that no resource needs. */
  async #expectClean({ score, keys }: Run): Promise<void> {
    const start = performance.now()
    const left = await untilEmpty(() => [
      ...this.#files.garbage(keys),
      ...this.#stale.garbage(this.#expiry.keys),
    ])
    if (left.length === 0) score.answered('sweep', performance.now() - start)
    else score.violate('sweep', `a start has left ${left.join(' ')}`)
  }

  /** Removes all resources, and expects that the next start leaves no file. */
  async finish(run: Run): Promise<void> {
    await run.send('DELETE', [
      ...run.clients.map(({ target }) => target),
      ...Array.from(this.#expiry.keys, (key) => `/stale/${key}`),
    ])
    for (const { child } of run.fleet.servers) await kill(child)
    this.#makeOld(run, true)
    for (const server of run.fleet.servers) await run.fleet.replace(server)
    for (const method of ['PUT', 'DELETE']) await run.send(method, ['/files/any', '/stale/any'])
    const left = await untilEmpty(() =>
      [this.#files, this.#stale].flatMap((store) => [
        ...store.leftovers(new Set()),
        ...store.published(),
        ...store.locks(),
      ]),
    )
    if (left.length > 0) run.score.violate('sweep', `in the end there is ${left.join(' ')}`)
  }
}

function wayTo(connections: readonly Connection[], server: number): Way {
  const connection = connections[server]
  if (connection === undefined) throw new Error(`there is no connection to server ${server}`)
  return { connection, server }
}

/**
 * Polls until the list is empty, at most as long as a start may clean up. Returns the last list.
 */
async function untilEmpty(list: () => readonly string[]): Promise<readonly string[]> {
  const end = performance.now() + LONGEST_SWEEP
  for (;;) {
    const left = list()
    if (left.length === 0 || performance.now() > end) return left
    await elapse(2)
  }
}
