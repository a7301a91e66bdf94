/** A server, a proxy in front of it, a clock that does not wait, and the clients under test. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'
import { partialUpload, prepareServer, type StorageAdapter } from 'partial-upload'
import * as web from 'partial-upload/client'
import * as node from 'partial-upload/client/node'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach } from 'vitest'

import { lockerOf } from '../../../src/storage/lock.ts'
import { withTimes } from '../storage/lock-times.ts'
import { Proxy } from './proxy.ts'

type Options = Partial<Parameters<typeof partialUpload>[0]>

/** The public functions over each of the transports that Node has. */
export const CLIENTS = [
  ['node:http', node],
  ['fetch', web],
] as const

/**
 * A clock whose waits for a retry end at once, and whose watches end when the test calls `expire`.
 */
export class TestClock {
  /** The waits before retries, in milliseconds. */
  readonly waits: number[] = []
  readonly #watches = new Set<() => void>()
  #now = 1_700_000_000_000

  now(): number {
    return this.#now
  }

  after(delay: number, callback: () => void): () => void {
    if (delay === WATCH) {
      this.#watches.add(callback)
      return () => this.#watches.delete(callback)
    }
    this.waits.push(delay)
    this.#now += delay
    const timer = setImmediate(callback)
    return () => clearImmediate(timer)
  }

  /** Ends all watches. */
  expire(): void {
    for (const callback of this.#watches) callback()
  }

  /** Number of watched requests. */
  get watches(): number {
    return this.#watches.size
  }
}

/** The delay by which the clock recognizes a watch. */
const WATCH = 123_456

/** Options that the public types do not have, because only tests set them. */
export function timing(options: {
  readonly clock?: Pick<TestClock, 'now' | 'after'>
  readonly random?: () => number
}): object {
  return options
}

/** A running server behind a proxy, new for each test. */
export class Bench {
  #storage: StorageAdapter = memoryStorage()
  /** Opens the storage of a server that starts. */
  #open = (): StorageAdapter => this.#storage
  proxy = new Proxy()
  clock = new TestClock()
  readonly failures: unknown[] = []
  #options: Options = {}
  #server = http.createServer()
  /** Closes the middleware, as an app does before a restart. The server still answers. */
  close = async (): Promise<void> => undefined

  async start(options: Options = {}): Promise<void> {
    this.#storage = memoryStorage()
    this.#open = () => this.#storage
    this.#options = options
    this.clock = new TestClock()
    this.proxy = new Proxy()
    await this.#listen(0)
    await this.proxy.start(this.port)
  }

  async #listen(port: number): Promise<void> {
    const app = express()
    const storage = this.#open()
    // A resumed upload takes over soon, and waits long enough for a busy machine.
    const { lockTimeout: stall = 100 } = this.#options
    const locker = withTimes(lockerOf(storage), { wait: Math.max(2000, stall), stall })
    const options = { storage, locker, ...this.#options }
    const middleware = partialUpload(options)
    this.close = () => middleware.close()
    app.use('/files', middleware)
    app.use(((error: unknown, _req, res, _next) => {
      this.failures.push(error)
      res.status(500).end()
    }) satisfies express.ErrorRequestHandler)
    this.#server = prepareServer(http.createServer(app))
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /**
   * Restarts the server. Clients see what they see when its process is killed and started again.
   */
  async restart(): Promise<void> {
    const { port } = this
    await this.kill()
    await this.#listen(port)
  }

  async kill(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Restarts with a storage that each start opens again. */
  async store(open: () => StorageAdapter): Promise<void> {
    this.#open = open
    await this.restart()
  }

  /** Restarts with other options. */
  async configure(options: Options): Promise<void> {
    this.#options = options
    await this.restart()
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The resource, through the proxy. */
  get url(): string {
    return `${this.proxy.origin}/files/a.bin`
  }

  /** The resource, past the proxy. */
  get direct(): string {
    return `http://127.0.0.1:${this.port}/files/a.bin`
  }

  /** Options of a call that fails fast and waits for nothing. */
  get options() {
    const times = { stallTimeout: WATCH, answerTimeout: WATCH }
    return { ...timing({ clock: this.clock, random: () => 1 }), ...times }
  }

  /** The state of the resource: `∅`, `I(4/10)` or `C(10)`. */
  async state(): Promise<string> {
    const response = await fetch(this.direct, { method: 'HEAD' })
    const size = response.headers.get('content-length')
    if (response.status === 404) return '∅'
    if (response.status === 200) return `C(${size})`
    return `I(${size}/${response.headers.get('content-range')?.split('/')[1] ?? '?'})`
  }

  async stored(): Promise<Buffer> {
    return Buffer.from(await (await fetch(this.direct)).arrayBuffer())
  }

  /** Stores the first bytes of an upload of `bytes` on the server. */
  async storePrefix(bytes: Uint8Array, size: number): Promise<void> {
    const range = `Content-Range: bytes 0-${size - 1}/${bytes.byteLength}\r\n\r\n`
    await fetch(this.direct, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: Buffer.concat([Buffer.from(range), bytes.subarray(0, size)]),
    })
  }
}

/** Starts a bench before each test and stops it after. */
export function useBench(options: Options = {}): Bench {
  const bench = new Bench()
  beforeEach(async () => bench.start(options))
  afterEach(async () => {
    await bench.proxy.stop()
    await bench.kill()
  })
  return bench
}

/** Bytes that identify their position and their seed. */
export function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = ((i * 31) ^ (i >> 8) ^ (i >> 16)) * seed
  return bytes
}

export const KiB = 1024
export const MiB = 1024 * 1024
