/** The servers that are killed: one, or several on the same data. */
import { Connection } from '../../support/wire/client.ts'
import { kill } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'

/** Beyond every timeout of a server, in milliseconds: on a busy machine an expiry may take long. */
const LONGEST_WAIT = 120_000

/** Servers, and the next one to take the place of one that was killed. */
export class Fleet {
  readonly #size: number
  readonly #startOne: () => Promise<ServerProcess>
  #servers: readonly ServerProcess[] = []
  /** Started while the others work. Before its first request it does not touch the data. */
  #spare: Promise<ServerProcess> | null = null

  constructor(size: number, startOne: () => Promise<ServerProcess>) {
    this.#size = size
    this.#startOne = startOne
  }

  /** Those that run, or were just killed. */
  get servers(): readonly ServerProcess[] {
    return this.#servers
  }

  async start(): Promise<void> {
    while (this.#servers.length < this.#size) {
      this.#servers = [...this.#servers, await this.#takeSpare()]
    }
  }

  async stop(): Promise<void> {
    const spare = await this.#spare
    for (const server of [...this.#servers, spare]) {
      if (server !== null) await kill(server.child)
    }
  }

  /** Puts a new server in the place of one that was killed. */
  async replace(victim: ServerProcess): Promise<ServerProcess> {
    const next = await this.#takeSpare()
    this.#servers = this.#servers.map((server) => (server === victim ? next : server))
    return next
  }

  /** Opens connections to all servers for so many clients. */
  connect(clients: number): Promise<readonly (readonly Connection[])[]> {
    const openAll = () =>
      Promise.all(this.#servers.map(({ port }) => Connection.open(port, LONGEST_WAIT)))
    return Promise.all(Array.from({ length: clients }, openAll))
  }

  async #takeSpare(): Promise<ServerProcess> {
    const server = await (this.#spare ?? this.#startOne())
    this.#spare = this.#startOne()
    return server
  }
}
