/** A way to a server that holds uploads at a byte, counts what passes, and can be cut. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import { onTestFinished } from 'vitest'

import { portOf } from '../examples/serve.ts'

/** Connections that have carried more than this are uploads. */
const LEAST_UPLOAD = 128 * 1024

interface Line {
  readonly client: Socket
  readonly server: Socket
  passed: number
  isHeld: boolean
}

/** Passes connections on to a port of this machine. */
export class Gate {
  readonly #target: number
  readonly #lines = new Set<Line>()
  readonly #server = createServer((client) => this.#connect(client))
  #passed = 0
  #mark = Infinity
  #onMark: (line: Line) => void = () => undefined
  #isCut = false

  private constructor(target: number) {
    this.#target = target
  }

  /** Opens a way to a port, which the end of the test closes. */
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

  /** Resolves when so many more bytes have passed. */
  async passes(size: number): Promise<void> {
    await this.#reach(size)
  }

  /** Lets so many more bytes pass, then holds the upload that brought the last one, and resolves. */
  async holdAfter(size: number): Promise<void> {
    const line = await this.#reach(size)
    line.isHeld = true
    line.client.pause()
  }

  /** Holds nothing any more. */
  open(): void {
    for (const line of this.#lines) {
      line.isHeld = false
      line.client.resume()
    }
  }

  /** Cuts all connections, and lets none come. */
  cut(): void {
    this.#isCut = true
    for (const { client, server } of this.#lines) {
      client.destroy()
      server.destroy()
    }
  }

  /** Ends a cut. */
  mend(): void {
    this.#isCut = false
  }

  async #reach(size: number): Promise<Line> {
    this.#mark = this.#passed + size
    return new Promise<Line>((resolve) => {
      this.#onMark = resolve
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
    this.#lines.add(line)
    server.on('error', () => undefined)
    server.on('drain', () => {
      if (!line.isHeld) client.resume()
    })
    client.on('data', (chunk) => this.#pass(line, chunk))
    client.on('end', () => server.end())
    client.on('close', () => {
      this.#lines.delete(line)
      server.destroySoon()
    })
    server.on('close', () => client.destroySoon())
    server.pipe(client)
  }

  #pass(line: Line, chunk: Buffer): void {
    // What comes after the server has gone reaches nobody.
    if (line.server.destroyed) return
    line.passed += chunk.byteLength
    this.#passed += chunk.byteLength
    if (!line.server.write(chunk)) line.client.pause()
    if (this.#passed < this.#mark || line.passed < LEAST_UPLOAD) return
    this.#mark = Infinity
    this.#onMark(line)
  }
}
