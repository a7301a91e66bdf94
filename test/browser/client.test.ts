import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import express from 'express'
import { partialUpload } from 'partial-upload'
import type * as Client from 'partial-upload/client'
import { fsStorage } from 'partial-upload/storage/fs'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test, vi } from 'vitest'

import { portOf } from '../support/examples/serve.ts'
import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, pageApp, serveApp } from '../support/browser/client-page.ts'
import { Gate } from '../support/browser/gate.ts'

const MiB = 1024 * 1024
/** A file whose length is not a multiple of the size of a segment. */
const BLOCK = Array.from({ length: 65_537 }, (_, index) => (index * index) % 251)
const root = fileURLToPath(new URL('../..', import.meta.url))

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

/** In the page. */
declare const WebAssembly: { readonly Memory: new (options: object) => { buffer: ArrayBuffer } }
declare const client: typeof Client
declare const chosen: (index: number) => File
declare const running: Client.Upload
declare const controller: AbortController
declare const sample: () => void
declare const seen: { readonly sent: readonly number[]; readonly states: readonly string[] }

describeInChromium('the client in Chromium', () => {
  test('reports its progress during a request', async () => {
    const { page, gate, directory, patches } = await start()
    const held = gate.holdAfter(4 * MiB)

    await begin(page, 16 * MiB)
    await held
    const meanwhile = await until(page, () => seen.sent.find((sent) => sent > 1_000_000))
    gate.open()
    const status = await page.evaluate(async () => (await running.done).status)

    expect(meanwhile).toBeLessThan(16 * MiB)
    expect([status, patches]).toEqual([
      201,
      [expect.stringMatching(/^65/), expect.stringMatching(/^167/)],
    ])
    const all = await page.evaluate(() => seen.sent)
    expect(all).toEqual(all.toSorted((a, b) => a - b))
    expect(all.at(-1)).toBe(16 * MiB)
    expect((await stored(directory)).equals(pattern(16 * MiB))).toBe(true)
  })

  test('pauses, and resumes where it stopped', async () => {
    const { page, gate, directory, patches } = await start()
    const held = gate.holdAfter(4 * MiB)

    await begin(page, 16 * MiB)
    await held
    await expect.poll(() => sizeAt(gate)).toBeGreaterThan(3 * MiB)
    await page.evaluate(() => running.pause())
    await until(page, () => seen.states.includes('paused'))
    dropHeld(gate)
    await page.evaluate(() => running.resume())
    await page.evaluate(async () => (await running.done).status)

    // The last segment is a short one: it carries the digest of the whole.
    const sizes = patches.map(Number)
    const first = Math.max(...sizes)
    const rest = sizes.slice(sizes.indexOf(first) + 1)
    expect(rest.some((size) => size < first - 2 * MiB)).toBe(true)
    expect((await stored(directory)).equals(pattern(16 * MiB))).toBe(true)
  })

  test('ends with the reason of its signal, and the next call resumes', async () => {
    const { page, gate, directory, patches } = await start()
    const held = gate.holdAfter(4 * MiB)

    await begin(page, 16 * MiB)
    await held
    await expect.poll(() => sizeAt(gate)).toBeGreaterThan(3 * MiB)
    const reason = await page.evaluate(async () => {
      controller.abort('enough')
      return running.done.catch((error: unknown) => error)
    })
    dropHeld(gate)
    await begin(page, 16 * MiB)
    await page.evaluate(async () => (await running.done).status)

    const sizes = patches.map(Number)
    const first = Math.max(...sizes)
    const rest = sizes.slice(sizes.indexOf(first) + 1)
    expect(reason).toBe('enough')
    expect(rest.some((size) => size < first - 2 * MiB)).toBe(true)
    expect((await stored(directory)).equals(pattern(16 * MiB))).toBe(true)
  })

  test('waits while the device is offline', async () => {
    const { page, gate, directory } = await start()
    const held = gate.holdAfter(4 * MiB)

    await begin(page, 16 * MiB)
    await held
    await page.context().setOffline(true)
    gate.cut()
    const delay = await until(page, () => {
      const { status } = running
      return status.state === 'waiting' ? [status.delay] : false
    })
    gate.reconnect()
    await page.context().setOffline(false)
    const status = await page.evaluate(async () => (await running.done).status)

    expect(delay).toEqual([null])
    expect(status).toBe(201)
    expect((await stored(directory)).equals(pattern(16 * MiB))).toBe(true)
  })

  test('sends a stream of unknown length', async () => {
    const { page, directory, patches } = await start()

    const status = await page.evaluate(async (block) => {
      let chunks = 0
      const stream = new ReadableStream<Uint8Array>({
        pull(stream) {
          stream.enqueue(new Uint8Array(block))
          chunks += 1
          if (chunks === 300) stream.close()
        },
      })
      return (await client.upload('/files/a', stream).done).status
    }, BLOCK)

    expect([status, patches.length]).toEqual([201, 3])
    expect((await stored(directory)).equals(pattern(300 * BLOCK.length))).toBe(true)
  })

  test('sends a slice of a file', async () => {
    const { page, directory } = await start()
    const file = path.join(directory, 'file.bin')
    await writeFile(file, pattern(3 * MiB))
    await page.setInputFiles('input', file)

    const status = await page.evaluate(async () => {
      return (await client.upload('/files/a', chosen(0).slice(100_000, 2_000_000)).done).status
    })

    expect(status).toBe(201)
    expect((await stored(directory)).equals(pattern(3 * MiB).subarray(100_000, 2_000_000))).toBe(
      true,
    )
  })

  test('sends memory that threads share', async () => {
    const { page, directory } = await start()

    const status = await page.evaluate(async () => {
      const { buffer } = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true })
      return (await client.upload('/files/a', new Uint8Array(buffer).fill(97)).done).status
    })

    expect(status).toBe(201)
    expect((await stored(directory)).toString()).toBe('a'.repeat(2 * 65_536))
  })

  test('fails if a file has changed since it was chosen', async () => {
    const { page, directory } = await start()
    const file = path.join(directory, 'file.bin')
    await writeFile(file, pattern(MiB))
    await page.setInputFiles('input', file)
    await writeFile(file, pattern(2 * MiB))

    const code = await page.evaluate(async () =>
      client
        .upload('/files/a', chosen(0))
        .done.catch((error: unknown) => (error as Client.ClientError).code),
    )

    expect(code).toBe('ERR_SOURCE')
  })

  test.skipIf(!existsSync('/proc/self/status'))(
    'sends a file of 300 MB in little memory (as /proc reports)',
    async () => {
      const { page, directory } = await start()
      const file = path.join(directory, 'file.bin')
      const handle = await open(file, 'w')
      await handle.truncate(300_000_000)
      await handle.close()
      await page.setInputFiles('input', file)
      const pids = await browserPids(page)
      const before = memoryOf(pids)
      const samples: number[] = []
      await page.exposeFunction('sample', () => samples.push(memoryOf(pids)))

      const status = await page.evaluate(async () => {
        return (await client.upload('/files/a', chosen(0), { onProgress: sample }).done).status
      })

      expect(status).toBe(201)
      expect((await stat(path.join(directory, 'uploads/a'))).size).toBe(300_000_000)
      expect(samples.length).toBeGreaterThan(5)
      expect(Math.max(...samples) - before).toBeLessThan(32 * MiB)
    },
  )

  test('loads as published, without a bundler', async () => {
    const built = await newFolder()
    const compiler = path.join(root, 'node_modules/.bin/tsc')
    await promisify(execFile)(compiler, ['-p', path.join(root, 'src'), '--outDir', built])
    const imports = { 'partial-upload/client': '/dist/client/index.js' }
    const directory = await newFolder()
    const app = express()
    app.use('/dist', express.static(built))
    app.use('/files', partialUpload({ storage: fsStorage({ directory }) }))
    app.get('/', (_req, res) => {
      res.send(`<!doctype html><title>…</title>
        <script type="importmap">${JSON.stringify({ imports })}</script>
        <script type="module">
          import { upload } from 'partial-upload/client'
          const options = { reprDigest: true }
          const { status } = await upload('/files/a', new Blob(['hello']), options).done
          document.title = status
        </script>`)
    })
    const { url } = await serveApp(app)

    const page = await openPage(url)
    await page.waitForFunction('document.title !== "…"')

    expect(await page.title()).toBe('201')
    expect(await readFile(path.join(directory, 'a'), 'utf8')).toBe('hello')
  })
})

interface Bench {
  readonly page: Page
  /** Between the page and its server. */
  readonly gate: Gate
  readonly directory: string
  /** `Content-Length` of all PATCH requests. */
  readonly patches: readonly string[]
}

async function start(): Promise<Bench> {
  const directory = await newFolder()
  const patches: string[] = []
  const app = await pageApp()
  app.use('/files', (req, _res, next) => {
    if (req.method === 'PATCH') patches.push(req.get('content-length') ?? '')
    next()
  })
  const storage = fsStorage({ directory: path.join(directory, 'uploads'), fsync: 'never' })
  app.use('/files', partialUpload({ storage }))
  const { server } = await serveApp(app)
  const gate = await Gate.to(portOf(server))
  return { page: await openPage(gate.origin), gate, directory, patches }
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-browser-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Drops the bytes that the gate holds, and lets new connections pass. Chromium closes the
 * connection of an aborted request some time later. Until then an opened gate would let the rest of
 * the upload pass.
 */
function dropHeld(gate: Gate): void {
  gate.cut()
  gate.reconnect()
}

/** Starts an upload of `size` bytes of the pattern, which is `running` in the page. */
async function begin(page: Page, size: number): Promise<void> {
  await page.evaluate(
    ([block, length]) => {
      const blocks = Array.from({ length: length / block.length + 1 }, () => new Uint8Array(block))
      const sent: number[] = []
      const states: string[] = []
      const control = new AbortController()
      const started = client.upload('/files/a', new Blob(blocks).slice(0, length), {
        signal: control.signal,
        onProgress: (progress) => sent.push(progress.sent),
        onState: ({ state }) => states.push(state),
      })
      Object.assign(globalThis, { running: started, seen: { sent, states }, controller: control })
    },
    [BLOCK, size] as const,
  )
}

/** Bytes that the server has stored. */
async function sizeAt(gate: Gate): Promise<number> {
  const { headers } = await fetch(`${gate.origin}/files/a`, { method: 'HEAD' })
  return Number(headers.get('content-length'))
}

/** The pattern of `begin`. */
function pattern(size: number): Buffer {
  return Buffer.alloc(size, Buffer.from(BLOCK))
}

async function stored(directory: string): Promise<Buffer> {
  return readFile(path.join(directory, 'uploads/a'))
}

/** Resolves with what a function of the page returns, once that is not false or empty. */
async function until<T>(page: Page, look: () => T): Promise<T> {
  return (await page.waitForFunction(look)).jsonValue()
}

async function browserPids(page: Page): Promise<readonly number[]> {
  const session = await page.context().browser()!.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  return processInfo.map(({ id }) => id)
}

/** Bytes of memory of processes, without what they share with files. */
function memoryOf(pids: readonly number[]): number {
  const sizes = pids.map((pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const counts = status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB/gm)
    return [...counts].reduce((sum, [, count]) => sum + 1024 * Number(count), 0)
  })
  return sizes.reduce((sum, size) => sum + size)
}
