/** Measures how long the costliest requests block the event loop of a server. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import path from 'node:path'

import type { StoreName } from '../support/storage/stores.ts'
import type { Block } from './block-server.ts'
import { WORST_INPUTS, type WorstInput } from './worst-inputs.ts'

/**
 * Longest block that is accepted, in milliseconds of processor time beyond what Express itself
 * takes.
 */
export const LONGEST_BLOCK = 50

/** One input and its measurement. */
export interface Measured extends Block {
  readonly name: string
  readonly statuses: readonly number[]
  /**
   * Processor time of Express alone for the same bytes, in milliseconds; 0 if it was not measured,
   * because the whole block is short.
   */
  readonly express: number
}

/** The line that `request` writes into every head. */
const HOST = 'Host: test\r\n'
/** Number of further measurements of a long block. */
const ROUNDS = 4
/** Longest wait for an answer on a busy machine, in milliseconds. */
const LONGEST_SILENCE = 60_000

type Kind = StoreName | 'express'

/**
 * Sends every input to a server in a process of its own. Returns the measurements, the worst first.
 */
export async function measureBlocks(
  store: StoreName,
  inputs: readonly WorstInput[] = WORST_INPUTS,
): Promise<readonly Measured[]> {
  const server = await BlockServer.start(store)
  const bare = await BlockServer.start('express')
  const measured: Measured[] = []
  const fitting = inputs.filter(({ isLarge }) => store === 'fs' || isLarge !== true)
  for (const [index, input] of fitting.entries()) {
    const requests = input.requests(`/files/r${index}`)
    measured.push(await measureInput(input.name, requests, server, bare))
  }
  server.stop()
  bare.stop()
  return measured.sort((a, b) => ownBlock(b) - ownBlock(a))
}

/** Returns the part of the block that the middleware causes, in milliseconds of processor time. */
export function ownBlock({ cpu, express }: Measured): number {
  return cpu - express
}

/**
 * Measures one input. A long block is measured again, because the same work can take longer on a
 * busy machine.
 */
async function measureInput(
  name: string,
  requests: readonly Buffer[],
  server: BlockServer,
  express: BlockServer,
): Promise<Measured> {
  let best: Measured = { name, ...(await server.measure(requests)), express: 0 }
  for (let round = 0; round < ROUNDS && ownBlock(best) > LONGEST_BLOCK; round++) {
    const alone = await express.measure(requests)
    const again = { name, ...(await server.measure(requests)), express: alone.cpu }
    if (round === 0 || ownBlock(again) < ownBlock(best)) best = again
  }
  return best
}

/** A process of `block-server.ts`. */
class BlockServer {
  readonly #process: ChildProcess

  private constructor(kind: Kind) {
    const script = path.join(import.meta.dirname, 'block-server.ts')
    this.#process = fork(script, [kind], { execArgv: process.execArgv })
  }

  /**
   * Starts a server, and sends it some requests of each method, so that the compilation of its code
   * is not measured.
   */
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

/** Sends a request, or several, and returns the status of the first answer; 0 if there is none. */
async function send(port: number, bytes: Buffer): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const last = bytes.lastIndexOf(HOST) + HOST.length
  socket.write(bytes.subarray(0, last))
  socket.write('Connection: close\r\n')
  socket.write(bytes.subarray(last))
  socket.setTimeout(LONGEST_SILENCE, () => socket.destroy(new Error('hung: no answer')))
  // The server may answer and close the connection before all is sent.
  socket.on('error', () => undefined)
  let start = ''
  for await (const chunk of socket as AsyncIterable<Buffer>)
    start ||= chunk.toString('latin1', 0, 12)
  return Number(start.slice(9))
}
