/**
 * A real server on loopback that is fuzzed. Its store is replaced by an empty one from time to
 * time.
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import http, { type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

import express from 'express'

import { UploadError } from '../../src/errors.ts'
import { partialUpload } from '../../src/server/express.ts'
import type { Middleware } from '../../src/server/express.ts'
import { prepareServer } from '../../src/server/prepare-server.ts'
import { memoryLocker } from '../../src/storage/lock.ts'
import { withTimes } from '../support/storage/lock-times.ts'
import { openStore } from '../support/storage/stores.ts'
import type { StoreName } from '../support/storage/stores.ts'
import { Connection } from '../support/wire/client.ts'

/** Largest resource, in bytes. */
export const MAX_SIZE = 64

const PATHS_PER_STORE = 500
const SETTINGS = {
  maxSize: MAX_SIZE,
  maxParts: 4,
  maxPartHeaderSize: 300,
}

/** The server of the process. It runs until the process ends. */
export class FuzzServer {
  /** Errors that reached `next` or were not handled. There must not be any. */
  readonly failures: unknown[] = []
  #port = 0
  readonly #store: StoreName
  #folders: string[] = []
  #paths = 0
  #middleware: Middleware<express.Request> | null = null
  #connection: Connection | null = null

  private constructor(store: StoreName) {
    this.#store = store
  }

  static async start(store: StoreName): Promise<FuzzServer> {
    const server = new FuzzServer(store)
    const app = express()
    app.use('/files', (req, res, next) => server.#middleware?.(req, res, next))
    app.use((_req, res) => void res.status(404).end())
    app.use((error: unknown, _req: express.Request, res: ServerResponse, next: () => void) => {
      // A write in place destroys the version that a GET is sending, so that the GET fails.
      if (!(error instanceof UploadError && error.code === 'ERR_CONFLICT')) {
        server.failures.push(error)
      }
      if (res.headersSent) next()
      else res.writeHead(500).end()
    })
    process.on('unhandledRejection', (error) => server.failures.push(error))
    await server.#changeStore()
    const listener = prepareServer(http.createServer(app)).listen(0, '127.0.0.1')
    listener.unref()
    await once(listener, 'listening')
    server.#port = (listener.address() as AddressInfo).port
    return server
  }

  /** Returns the path of a resource that does not exist. */
  async path(): Promise<string> {
    this.#paths += 1
    if (this.#paths % PATHS_PER_STORE === 0) await this.#changeStore()
    return `/files/a/${this.#paths}`
  }

  /** Replaces the store by an empty one. A late request may still use the old one for a while. */
  async #changeStore(): Promise<void> {
    await this.#removeOldest()
    const folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-fuzz-store-'))
    this.#folders.push(folder)
    const directory = path.join(folder, 'files')
    await mkdir(directory)
    const storage = openStore(this.#store, directory)
    this.#middleware = partialUpload({
      storage,
      locker: withTimes(memoryLocker(), { wait: 5000, stall: 100 }),
      ...SETTINGS,
    })
  }

  /** Opens a connection. */
  connect(): Promise<Connection> {
    return Connection.open(this.#port)
  }

  /**
   * Returns the connection that all requests share, one after the other, while the server keeps it.
   */
  async connection(): Promise<Connection> {
    if (this.#connection?.isOpen !== true) this.#connection = await this.connect()
    return this.#connection
  }

  /** Removes the oldest store, and checks that no file was written outside its directory. */
  async #removeOldest(): Promise<void> {
    if (this.#folders.length < 2) return
    const folder = this.#folders.shift()!
    const names = await readdir(folder)
    if (names.join() !== 'files') this.failures.push(`outside the store: ${names.join(' ')}`)
    await rm(folder, { recursive: true })
  }
}
