/** Measures how long the costliest requests block the event loop of a server. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

import { Connection } from '../wire/client.ts'
import type { Block } from './block-server.ts'
import { WORST_INPUTS, type WorstInput } from './worst-inputs.ts'

/** Longest block that is accepted, in milliseconds of processor time beyond what Node itself takes. */
export const LONGEST_BLOCK = 50

/** One input, and what it cost. */
export interface Measured extends Block {
  readonly name: string
  readonly statuses: readonly number[]
  /** What a bare Node server takes for the same bytes; null where the whole is short already. */
  readonly node: number | null
}

type Kind = 'memory' | 'fs' | 'bare'

/** Sends every input to a server of its own process; worst first. */
export async function measureBlocks(
  store: 'memory' | 'fs',
  inputs: readonly WorstInput[] = WORST_INPUTS,
): Promise<readonly Measured[]> {
  const server = await BlockServer.start(store)
  const bare = await BlockServer.start('bare')
  const measured: Measured[] = []
  for (const [index, input] of inputs.entries()) {
    const requests = input.requests(`/files/r${index}`)
    const whole = await server.measure(requests)
    const node = whole.cpu > LONGEST_BLOCK ? (await bare.measure(requests)).cpu : null
    measured.push({ name: input.name, ...whole, node })
  }
  server.stop()
  bare.stop()
  return measured.sort((a, b) => b.cpu - (b.node ?? 0) - (a.cpu - (a.node ?? 0)))
}

/** A process of `block-server.ts`. */
class BlockServer {
  readonly #process: ChildProcess

  private constructor(kind: Kind) {
    const script = path.join(import.meta.dirname, 'block-server.ts')
    this.#process = fork(script, [kind], { execArgv: process.execArgv })
  }

  /** Starts one, and lets it see each method once: what is compiled then must not count. */
  static async start(kind: Kind): Promise<BlockServer> {
    const server = new BlockServer(kind)
    await once(server.#process, 'message')
    for (const { requests } of WORST_INPUTS.slice(-10)) await server.measure(requests('/files/w'))
    return server
  }

  /** Sends the requests, each on a connection of its own. */
  async measure(
    requests: readonly Buffer[],
  ): Promise<Block & { readonly statuses: readonly number[] }> {
    const { port } = await this.#read()
    const statuses: number[] = []
    for (const bytes of requests) statuses.push(await send(port, bytes))
    const { wall, cpu } = await this.#read()
    return { wall, cpu, statuses }
  }

  stop(): void {
    this.#process.disconnect()
  }

  async #read(): Promise<Block & { readonly port: number }> {
    const answer = once(this.#process, 'message')
    this.#process.send('read')
    const [block] = (await answer) as [Block & { port: number }]
    return block
  }
}

async function send(port: number, bytes: Buffer): Promise<number> {
  const connection = await Connection.open(port)
  const method = bytes.toString('latin1', 0, 10).split(' ')[0]
  const answer = await connection.send(bytes).answerOrClose(method)
  connection.socket.destroy()
  return answer?.status ?? 0
}
