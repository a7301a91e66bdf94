/** The server under test, over each store and each Express, and the state of its resources. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import type { Socket } from 'node:net'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import type { PartialUploadOptions } from 'partial-upload'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'

import { FAST_DIRECTORY, openStore } from '../storage/stores.ts'
import type { StoreName } from '../storage/stores.ts'
import { Connection, MESSAGE, field, message, request } from './client.ts'
import type { Answer, Bytes, Peer } from './client.ts'
import { bareApp } from './bare-app.ts'
import { Http2Peer } from './http2-client.ts'
import { parseState } from './state.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express

/**
 * A store, and the shell of the middleware: a version of Express, or HTTP/2 without a framework.
 */
export interface Combination {
  readonly name: string
  readonly store: StoreName
  readonly framework: typeof express | 'http2'
}

export type Options = Partial<PartialUploadOptions<express.Request>>

export const MEMORY: Combination = {
  name: 'memory, Express 5',
  store: 'memory',
  framework: express,
}
export const FS: Combination = { name: 'fs, Express 5', store: 'fs', framework: express }
export const LAYERS: Combination = {
  name: 'layers, Express 5',
  store: 'layers',
  framework: express,
}
const OLD_FS: Combination = { name: 'fs, Express 4', store: 'fs', framework: express4 }
export const HTTP2: Combination = { name: 'memory, HTTP/2', store: 'memory', framework: 'http2' }

/** Each store once. */
export const BOTH: readonly Combination[] = [MEMORY, FS]
/** Each store and each transport once. */
export const CORNERS: readonly Combination[] = [FS, HTTP2]
/** Each Express once, for what a framework can change: fields, routing, errors. */
export const EXPRESSES: readonly Combination[] = [MEMORY, OLD_FS]
/** Each Express and each transport once. */
export const SHELLS: readonly Combination[] = [...EXPRESSES, HTTP2]

/** Starts a server for the tests of the surrounding `describe`, and stops it after them. */
export function useServer(
  combination: Combination,
  options: Options = {},
  earlier: readonly express.RequestHandler[] = [],
): TestServer {
  const server = new TestServer()
  beforeAll(async () => server.start(combination, options, earlier))
  afterEach(() => server.closeConnections())
  afterAll(async () => server.stop())
  return server
}

/** The default content of a resource. Each letter identifies its position. */
export function letters(length: number): string {
  return 'abcdefghijklmnopqrstuvwxyz'.repeat(Math.ceil(length / 26)).slice(0, length)
}

/** The properties of a resource that a client can see. */
export interface Snapshot {
  readonly state: string
  readonly etag: string | null
  readonly lastModified: string | null
  readonly contentType: string | null
  readonly bytes: string
}

/** An Express app with the middleware under `/files`, listening. */
export class TestServer {
  /** The errors that the middleware passed to `next`. A test that expects some removes them. */
  readonly failures: unknown[] = []
  directory = ''
  port = 0
  #server: http.Server | http2.Http2Server = http.createServer()
  #isHttp2 = false
  readonly #connections: Peer[] = []
  /** Connections that can take the next request, because the last one succeeded. */
  #idle: Peer[] = []
  readonly #sockets = new Set<Socket>()
  #paths = 0
  #close = async (): Promise<void> => undefined
  #listen = async (): Promise<void> => undefined

  async start(
    combination: Combination,
    options: Options,
    earlier: readonly express.RequestHandler[],
  ): Promise<void> {
    this.directory = await mkdtemp(join(FAST_DIRECTORY, 'partial-upload-wire-'))
    this.#listen = () => this.#open(combination, options, earlier)
    await this.#listen()
  }

  /** Restarts the server on the same directory. The memory store is empty then. */
  async restart(): Promise<void> {
    this.closeConnections()
    await this.#end()
    await this.#listen()
  }

  async #open(
    { store, framework }: Combination,
    options: Options,
    earlier: readonly express.RequestHandler[],
  ): Promise<void> {
    // A store without fsyncs, because a test of the wire can't observe them.
    const storage = openStore(store, this.directory)
    const uploads = partialUpload({ storage, ...options })
    this.#close = () => uploads.close()
    this.#isHttp2 = framework === 'http2'
    if (framework === 'http2') {
      const handlers = [...earlier, uploads] as unknown as Parameters<typeof bareApp>[1]
      const app = bareApp('/files', handlers, (error) => this.failures.push(error))
      this.#server = http2.createServer(app as never)
    } else {
      const app = framework()
      for (const handler of earlier) app.use(handler)
      app.use('/files', uploads)
      app.use((_req: express.Request, res: express.Response) => {
        res.status(404).set('X-Passed-On', 'yes').end()
      })
      app.use(this.#onError)
      this.#server = http.createServer(app)
    }
    prepareServer(this.#server)
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as { port: number }).port
  }

  readonly #onError: express.ErrorRequestHandler = (error: unknown, _req, res, next) => {
    this.failures.push(error)
    if (res.headersSent) next(error)
    else res.status(500).end()
  }

  /** Closes the connections of one test, and fails if the middleware has failed in it. */
  closeConnections(): void {
    for (const connection of this.#connections.splice(0)) connection.destroy()
    this.#idle = []
    expect(this.failures.splice(0)).toEqual([])
  }

  async stop(): Promise<void> {
    await this.#end()
    await rm(this.directory, { recursive: true, force: true })
  }

  async #end(): Promise<void> {
    await this.#close()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async connect(): Promise<Peer> {
    if (!this.#isHttp2) return this.connectSocket()
    const peer = await Http2Peer.open(`http://127.0.0.1:${this.port}`)
    this.#connections.push(peer)
    return peer
  }

  /** A connection over HTTP/1.1, for requests that only its text can express. */
  async connectSocket(): Promise<Connection> {
    const connection = await Connection.open(this.port)
    this.#connections.push(connection)
    return connection
  }

  /** A path that no test has used. */
  path(): string {
    this.#paths += 1
    return `/files/r${this.#paths}`
  }

  /** Sends one request on an idle connection. */
  async send(
    method: string,
    path: string,
    fields: readonly string[] = [],
    body: Bytes = '',
  ): Promise<Answer> {
    const connection = this.#takeIdle() ?? (await this.connect())
    const answer = await connection.send(request(method, path, fields, body)).answer(method)
    if (answer.status < 400) this.#idle.push(connection)
    return answer
  }

  #takeIdle(): Peer | undefined {
    const connection = this.#idle.pop()
    return connection?.isOpen === false ? this.#takeIdle() : connection
  }

  /** A PATCH with message/byteranges. */
  async patch(path: string, contentRange: string, data: Bytes = '', ...fields: readonly string[]) {
    return this.send('PATCH', path, [MESSAGE, ...fields], message(contentRange, data))
  }

  /** A new resource in the state `∅`, `I(4/10)`, `I(4/*)` or `C(10)`, holding `letters`. */
  async given(state: string): Promise<string> {
    const path = this.path()
    const { kind, size, length } = parseState(state)
    if (kind !== '∅') {
      const total = length ?? '*'
      await (size === 0
        ? this.patch(path, `bytes */${total}`)
        : this.patch(path, `bytes 0-${size - 1}/${total}`, letters(size)))
    }
    expect(await this.state(path)).toBe(state)
    return path
  }

  async head(path: string): Promise<Answer> {
    return this.send('HEAD', path)
  }

  async etag(path: string): Promise<string> {
    return field(await this.head(path), 'etag') ?? ''
  }

  /** The state of a resource by HEAD: `∅`, `I(4/10)`, `I(4/*)` or `C(10)`. */
  async state(path: string): Promise<string> {
    return stateOf(await this.head(path))
  }

  /** Resolves once HEAD reports the state. */
  async becomes(path: string, state: string): Promise<void> {
    await expect.poll(() => this.state(path), { interval: 5 }).toBe(state)
  }

  async snapshot(path: string): Promise<Snapshot> {
    const head = await this.head(path)
    const get = await this.send('GET', path)
    return {
      state: stateOf(head),
      etag: field(head, 'etag'),
      lastModified: field(head, 'last-modified'),
      contentType: field(head, 'content-type'),
      bytes: get.body.toString('latin1'),
    }
  }

  /**
   * Resolves when earlier requests have released the lock: sends a request that waits for the lock
   * and then fails.
   */
  async idle(path: string): Promise<void> {
    const { status } = await this.patch(path, 'bytes 9999999-9999999/*', 'x')
    expect([404, 409]).toContain(status)
  }
}

/** The state that an answer to HEAD reports, in the notation of the protocol. */
export function stateOf(head: Answer): string {
  const size = field(head, 'content-length')
  if (head.status === 404) return '∅'
  if (head.status === 200) return `C(${size})`
  const range = field(head, 'content-range')
  const match = /^bytes (?:0-(\d+)|\*)\/(\d+|\*)$/.exec(range ?? '')
  const sizeInRange = match?.[1] === undefined ? 0 : Number(match[1]) + 1
  if (range !== null && String(sizeInRange) !== size) return `I(${size}, but ${range})`
  return `I(${size}/${match?.[2] ?? '*'})`
}
