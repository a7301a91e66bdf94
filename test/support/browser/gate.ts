/**
 * A proxy in front of a server that counts bytes, holds uploads at a chosen byte, and can be cut.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import { onTestFinished } from 'vitest'

import { portOf } from '../examples/serve.ts'

/** Connections that have carried more than this are uploads. */
const LEAST_UPLOAD = 128 * 1024

interface Tunnel {
  readonly client: Socket
  readonly server: Socket
  passed: number
  isHeld: boolean
}

/** Forwards connections to a port of this machine. */
export class Gate {
  readonly #target: number
  readonly #tunnels = new Set<Tunnel>()
  readonly #server = createServer((client) => this.#connect(client))
  #passed = 0
  #threshold = Infinity
  #onThreshold: (line: Tunnel) => void = () => undefined
  #isCut = false

  private constructor(target: number) {
    this.#target = target
  }

  /** Opens a gate to a port, which the end of the test closes. */
  static async to(target: number): Promise<Gate> {
    const gate = new Gate(target)
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    onTestFinished(async () => {
      gate.cut()
      gate.#server.close()
      await once(gate.#server, 'close')
    })
    return gate
  }

  get origin(): string {
    return `http://127.0.0.1:${portOf(this.#server)}`
  }

  /** Bytes that have passed to the server, headers of requests included. */
  get passed(): number {
    return this.#passed
  }

  /** Resolves when `size` more bytes have passed. */
  async passes(size: number): Promise<void> {
    await this.#waitForBytes(size)
  }

  /** Lets `size` more bytes pass, then holds the upload that sent the last one, and resolves. */
  async holdAfter(size: number): Promise<void> {
    const line = await this.#waitForBytes(size)
    line.isHeld = true
    line.client.pause()
  }

  /** Forwards everything again. */
  open(): void {
    for (const line of this.#tunnels) {
      line.isHeld = false
      line.client.resume()
    }
  }

  /** Cuts all connections, and refuses new ones. */
  cut(): void {
    this.#isCut = true
    for (const { client, server } of this.#tunnels) {
      client.destroy()
      server.destroy()
    }
  }

  /** Ends a cut. */
  reconnect(): void {
    this.#isCut = false
  }

  async #waitForBytes(size: number): Promise<Tunnel> {
    this.#threshold = this.#passed + size
    return new Promise<Tunnel>((resolve) => {
      this.#onThreshold = resolve
    })
  }

  #connect(client: Socket): void {
    client.on('error', () => undefined)
    if (this.#isCut) {
      client.destroy()
      return
    }
    const server = connect({ host: '127.0.0.1', port: this.#target })
    const line = { client, server, passed: 0, isHeld: false }
    this.#tunnels.add(line)
    server.on('error', () => undefined)
    server.on('drain', () => {
      if (!line.isHeld) client.resume()
    })
    client.on('data', (chunk) => this.#pass(line, chunk))
    client.on('end', () => server.end())
    client.on('close', () => {
      this.#tunnels.delete(line)
      server.destroySoon()
    })
    server.on('close', () => client.destroySoon())
    server.pipe(client)
  }

  #pass(line: Tunnel, chunk: Buffer): void {
    // Bytes that arrive after the server has closed the connection are lost.
    if (line.server.destroyed) return
    line.passed += chunk.byteLength
    this.#passed += chunk.byteLength
    if (!line.server.write(chunk)) line.client.pause()
    if (this.#passed < this.#threshold || line.passed < LEAST_UPLOAD) return
    this.#threshold = Infinity
    this.#onThreshold(line)
  }
}
