/**
 * The example of a whole app, as a process of its own, because its packages are not those of this
 * one.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PACKAGES = ['better-sqlite3', 'compression', 'express-session', 'helmet', 'sharp']

/** A picture of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** Whether the app finds the package, in its own folder or in that of the project. */
function isInstalled(name: string): boolean {
  try {
    createRequire(path.join(ROOT, 'examples/app/app.ts')).resolve(name)
    return true
  } catch {
    return false
  }
}

const missing = PACKAGES.filter((name) => !isInstalled(name))
const title = missing.length === 0 ? 'the app' : `the app (needs ${missing.join(', ')})`

let folder: string
let server: ChildProcess
let origin: string

let ann: User
let bob: User

async function start(): Promise<void> {
  const flags = ['--conditions=@partial-upload/source', '--import', 'tsx']
  const [DIRECTORY, DATABASE] = [path.join(folder, 'uploads'), path.join(folder, 'db')]
  const env = { ...process.env, PORT: '0', SECRET: 'a', QUOTA: '1000', DIRECTORY, DATABASE }
  const child = spawn(process.execPath, [...flags, 'examples/app/app.ts'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  server = child
  for await (const line of createInterface(child.stdout)) {
    const { port } = JSON.parse(line) as { port: number }
    origin = `http://127.0.0.1:${port}`
    return
  }
  throw new Error('the app has not started')
}

async function stop(signal: NodeJS.Signals): Promise<number | null> {
  if (server.exitCode !== null) return server.exitCode
  const exited = once(server, 'exit')
  server.kill(signal)
  await exited
  return server.exitCode
}

async function logIn(name: string, password = name): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' }
  const body = JSON.stringify({ name, password })
  return fetch(`${origin}/login`, { method: 'POST', headers, body })
}

/** Requests of a user that has logged in. */
class User {
  readonly #cookie: string

  private constructor(cookie: string) {
    this.#cookie = cookie
  }

  static async named(name: string): Promise<User> {
    const cookie = (await logIn(name)).headers.get('set-cookie') ?? ''
    return new User(cookie.split(';')[0] ?? '')
  }

  async fetch(target: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Cookie: this.#cookie, ...(init.headers as Record<string, string>) }
    return fetch(`${origin}${target}`, { ...init, headers })
  }

  async put(
    name: string,
    body: string | Buffer<ArrayBuffer>,
    type = 'text/plain',
  ): Promise<number> {
    const init = { method: 'PUT', headers: { 'Content-Type': type }, body }
    return (await this.fetch(`/files/${name}`, init)).status
  }

  async patch(name: string, range: string, body: string): Promise<number> {
    const headers = { 'Content-Type': 'message/byteranges' }
    const init = { method: 'PATCH', headers, body: `Content-Range: ${range}\r\n\r\n${body}` }
    return (await this.fetch(`/files/${name}`, init)).status
  }

  async list(): Promise<readonly { readonly name: string }[]> {
    return (await this.fetch('/list')).json() as Promise<readonly { readonly name: string }[]>
  }

  async removeAll(): Promise<void> {
    for (const { name } of await this.list()) {
      await this.fetch(`/files/${name}`, { method: 'DELETE' })
    }
  }
}

describe.skipIf(missing.length > 0)(title, () => {
  // One process for all tests, because its packages take a second to load.
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-app-'))
    await start()
    ann = await User.named('ann')
    bob = await User.named('bob')
  })

  afterEach(async () => {
    await Promise.all([ann.removeAll(), bob.removeAll()])
  })

  afterAll(async () => {
    await stop('SIGKILL')
    await rm(folder, { recursive: true })
  })

  test('refuses a user without a login, and a wrong password', async () => {
    const [stranger, wrong] = [await fetch(`${origin}/files/a`), await logIn('ann', 'bob')]

    expect([stranger.status, wrong.status]).toEqual([401, 403])
  })

  test('stores an upload in segments in the folder of the user, with a row', async () => {
    const first = await ann.patch('a/b.txt', 'bytes 0-4/11', 'hello')
    const early = await ann.list()
    const second = await ann.patch('a/b.txt', 'bytes 5-10/11', ' world')

    expect([first, early, second]).toEqual([202, [], 201])
    expect(await readFile(path.join(folder, 'uploads/ann/a/b.txt'), 'utf8')).toBe('hello world')
    expect(await ann.list()).toEqual([{ name: 'a/b.txt', size: 11, hasThumbnail: false }])
    expect(await bob.list()).toEqual([])
    expect((await bob.fetch('/files/a/b.txt')).status).toBe(404)
  })

  test('makes a thumbnail of an image, and none of other bytes', async () => {
    await ann.put('a.png', PNG, 'image/png')
    await ann.put('b.png', 'no image', 'image/png')
    const thumbnail = await ann.fetch('/thumbnails/a.png')

    expect(await ann.list()).toMatchObject([{ hasThumbnail: true }, { hasThumbnail: false }])
    expect(thumbnail.headers.get('content-type')).toBe('image/webp')
    expect((await ann.fetch('/thumbnails/b.png')).status).toBe(404)
  })

  test('counts all files of a user', async () => {
    const [small, large] = ['x'.repeat(500), 'x'.repeat(900)]

    expect(await ann.put('a', small)).toBe(201)
    expect(await ann.put('b', large)).toBe(413)
    expect(await ann.put('b', small)).toBe(201)
    expect(await ann.patch('a', 'bytes 500-501/502', 'xx')).toBe(413)
    expect(await ann.put('a', large)).toBe(413)
    expect(await bob.put('a', large)).toBe(201)
    expect(await ann.list()).toMatchObject([{ size: 500 }, { size: 500 }])
  })

  test('removes a file with its row', async () => {
    await ann.put('a.png', PNG, 'image/png')

    const { status } = await ann.fetch('/files/a.png', { method: 'DELETE' })

    expect([status, await ann.list()]).toEqual([204, []])
    expect((await ann.fetch('/thumbnails/a.png')).status).toBe(404)
    expect(await readdir(path.join(folder, 'uploads'))).toEqual(['.partial-upload'])
  })

  test('has its rows and files after a restart, and ends cleanly', async () => {
    await ann.put('a', 'abc')

    const code = await stop('SIGTERM')
    await start()
    ann = await User.named('ann')
    bob = await User.named('bob')

    expect(code).toBe(0)
    expect(await ann.list()).toMatchObject([{ name: 'a', size: 3 }])
  })
})
