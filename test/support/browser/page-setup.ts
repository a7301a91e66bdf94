/**
 * The page of `npm start` in Chromium: its server in a process of its own, and the actions of a
 * person.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'

import type { BrowserContext, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, onTestFinished } from 'vitest'

import type { ListedFile } from '../../../examples/list.ts'
import { newContext } from './chromium.ts'
import { Gate } from './gate.ts'

const ROOT = path.join(import.meta.dirname, '../../..')
const START = ['--conditions=@partial-upload/source', '--import', 'tsx', 'examples/server.ts']

/**
 * Bytes that may be in the buffers of the browser, the system and the gate when a connection
 * ends: they may arrive, or be lost. A file whose upload is cut must be larger.
 */
export const IN_FLIGHT = 16_000_000

/** `examples/server.ts` as a process, over a folder of its own. */
class PageServer {
  directory = ''
  port = 0
  #child: ChildProcess | null = null

  /** Starts the server; a later start uses the same port. */
  async start(): Promise<void> {
    this.directory ||= await mkdtemp(path.join(tmpdir(), 'partial-upload-page-'))
    const { child, url } = await launch(this.directory, this.port)
    this.#child = child
    this.port = Number(new URL(url).port)
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The path of a finished file. */
  pathOf(key: string): string {
    return path.join(this.directory, key)
  }

  /** The files that the server lists. */
  async list(): Promise<readonly ListedFile[]> {
    const response = await fetch(`${this.origin}/list`)
    return (await response.json()) as ListedFile[]
  }

  /** Removes all files and uploads. */
  async empty(): Promise<void> {
    for (const { key } of await this.list()) {
      const segments = key.split('/').map(encodeURIComponent)
      await fetch(`${this.origin}/files/${segments.join('/')}`, { method: 'DELETE' })
    }
  }
}

/** A server for all tests of a block, which is empty before each of them. */
export function sharedServer(): PageServer {
  const server = new PageServer()
  beforeAll(async () => server.start(), 60_000)
  afterEach(async () => server.empty())
  afterAll(async () => {
    await server.kill()
    await rm(server.directory, { recursive: true, force: true })
  })
  return server
}

async function launch(
  directory: string,
  port: number,
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const options = ['--directory', directory, '--port', String(port)]
  const child = spawn(process.execPath, [...START, ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  for await (const url of createInterface(child.stdout)) return { child, url }
  throw new Error('the server has not started')
}

/** A new folder, which the end of the test removes. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-page-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Writes a file of random bytes, and returns its path. */
export async function writeRandom(folder: string, name: string, size: number): Promise<string> {
  const file = path.join(folder, name)
  const handle = await open(file, 'w')
  const chunk = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < size; at += chunk.byteLength) {
    randomFillSync(chunk)
    await handle.write(chunk, 0, Math.min(chunk.byteLength, size - at))
  }
  await handle.close()
  return file
}

/** The SHA-256 of a file. */
export async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

/** Opens the page. Its question before leaving is answered with yes. */
export async function openPage(origin: string, context?: BrowserContext): Promise<Page> {
  const page = await (context ?? (await newContext())).newPage()
  page.on('dialog', (dialog) => void dialog.accept())
  // From now on file choosers arrive as events. A first listener beside the press of the button is
  // too late.
  page.on('filechooser', () => undefined)
  await page.goto(`${origin}/`)
  return page
}

/** Opens the page through a gate that can hold its uploads, and cut them. */
export async function openByGate({ port }: PageServer): Promise<{
  readonly page: Page
  readonly gate: Gate
}> {
  const gate = await Gate.to(port)
  return { gate, page: await openPage(gate.origin) }
}

/**
 * Records the announcements of the page for a screen reader. The returned function returns them.
 */
export async function listen(page: Page): Promise<() => Promise<readonly string[]>> {
  await page.evaluate(`
    self.spoken = []
    const status = document.querySelector('[role=status]')
    new MutationObserver(() => spoken.push(status.textContent)).observe(status, { childList: true })
  `)
  return () => page.evaluate<readonly string[]>('spoken')
}

/** Chooses files by the first button. */
export async function choose(page: Page, ...files: readonly string[]): Promise<void> {
  await page.getByLabel('Choose files').setInputFiles([...files])
}

/** Chooses a file, and stops its upload when `size` bytes have passed a gate. */
export async function chooseAndHold(
  page: Page,
  file: string,
  gate: Gate,
  size: number,
): Promise<void> {
  const held = gate.holdAfter(size)
  await choose(page, file)
  await held
}

/**
 * Reloads the page while a gate holds its upload, and opens the gate afterwards. An upload that was
 * let go first could be complete before the reload has stopped it.
 */
export async function reloadWhileHeld(page: Page, gate: Gate): Promise<void> {
  await page.reload()
  gate.open()
}

/** The row of an upload. */
export function uploadRow(page: Page, name: string): Locator {
  return page.locator('#uploads li', { hasText: name })
}

/** The row of a file on the server. */
export function fileRow(page: Page, name: string): Locator {
  return page.locator('#files li', { hasText: name })
}

/** Presses a button of a row. */
export async function press(row: Locator, label: string): Promise<void> {
  await row.getByRole('button', { name: new RegExp(`^${label}`) }).click()
}

/** Resolves when a row shows these words. */
export async function says(row: Locator, words: string, timeout = 60_000): Promise<void> {
  await row.locator('.line', { hasText: words }).waitFor({ timeout })
}

/** Drops a file or a folder, as the system does. */
export async function drop(page: Page, file: string): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const data = { items: [], files: [file], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 100, y: 100, data })
  }
}
