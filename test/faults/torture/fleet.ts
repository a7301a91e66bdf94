/** The servers of a torture run: one, or several on the same data. */
import { Connection } from '../../support/wire/client.ts'
import { kill } from '../../support/faults/process.ts'
import type { ServerProcess } from '../../support/faults/process.ts'

/**
 * Longer than every timeout of a server, in milliseconds, because an expiry may take long on a busy
 * machine.
 */
const LONGEST_WAIT = 120_000

/** Running servers, and a spare one that replaces the next victim. */
export class Fleet {
  readonly #size: number
  readonly #startOne: () => Promise<ServerProcess>
  #servers: readonly ServerProcess[] = []
  /**
   * Started in advance while the others work. It does not touch the data before its first request.
   */
  #spare: Promise<ServerProcess> | null = null

  constructor(size: number, startOne: () => Promise<ServerProcess>) {
    this.#size = size
    this.#startOne = startOne
  }

  /** The servers, of which one may just have been killed. */
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

  /** Replaces a server that was killed by a new one. */
  async replace(victim: ServerProcess): Promise<ServerProcess> {
    const next = await this.#takeSpare()
    this.#servers = this.#servers.map((server) => (server === victim ? next : server))
    return next
  }

  /** Opens a connection to each server for each of `clients` clients. */
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
