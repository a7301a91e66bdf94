/** The page of `npm start` in Chromium: its server as a process of its own, and what a person does. */
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
import { onTestFinished } from 'vitest'

import { newContext } from './chromium.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const START = ['--conditions=@partial-upload/source', '--import', 'tsx', 'examples/server.ts']

/** `examples/server.ts` as a process. */
export class PageServer {
  readonly directory: string
  readonly port: number
  #child: ChildProcess

  private constructor(directory: string, port: number, child: ChildProcess) {
    this.directory = directory
    this.port = port
    this.#child = child
  }

  /** Starts a server over an empty folder. The end of the test stops it and removes the folder. */
  static async start(): Promise<PageServer> {
    const directory = await newFolder()
    const { child, url } = await launch(directory, 0)
    const server = new PageServer(directory, Number(new URL(url).port), child)
    onTestFinished(() => server.kill())
    return server
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  /** Starts it anew, on the same port. */
  async restart(): Promise<void> {
    this.#child = (await launch(this.directory, this.port)).child
  }

  /** The path of a finished file. */
  pathOf(key: string): string {
    return path.join(this.directory, key)
  }
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

/** Opens the page, as a person who accepts to leave it while files are under way. */
export async function openPage(origin: string, context?: BrowserContext): Promise<Page> {
  const page = await (context ?? (await newContext())).newPage()
  page.on('dialog', (dialog) => void dialog.accept())
  // From now on choosers come as events; a first listener beside the press of the button is too late.
  page.on('filechooser', () => undefined)
  await page.goto(`${origin}/`)
  return page
}

/** Chooses files by the first button. */
export async function choose(page: Page, ...files: readonly string[]): Promise<void> {
  await page.getByLabel('Choose files').setInputFiles([...files])
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

/** Resolves when a row says this. */
export async function says(row: Locator, words: string, timeout = 60_000): Promise<void> {
  await row.locator('.line', { hasText: words }).waitFor({ timeout })
}
