/**
 * The client in a web worker, which has `XMLHttpRequest`, and in a service worker, which has only
 * `fetch`.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { partialUpload } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, pageApp, serveApp } from '../support/browser/client-page.ts'
import { Gate } from '../support/browser/gate.ts'
import { portOf } from '../support/examples/serve.ts'

const MiB = 1024 * 1024
const SIZE = 16 * MiB
/** A file whose length is not a multiple of the size of a segment. */
const BLOCK = Array.from({ length: 65_537 }, (_, index) => (index * index) % 251)

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

/**
 * Uploads the file of a message, and posts the state at the end. `waitUntil` keeps a service worker
 * running.
 */
const WORKER = `
  import { upload } from 'partial-upload/client'
  self.addEventListener('message', (event) => {
    const { data: file, ports: [port] } = event
    const running = upload('/files/a', file, { minDelay: 1, maxDelay: 1 })
    const done = running.done.then(() => port.postMessage(running.status), (error) => port.postMessage(String(error)))
    event.waitUntil?.(done)
  })
`

/** Scripts of the page that start a worker, and make it `worker`. */
const PAGES = {
  'a web worker': `globalThis.worker = new Worker('/worker.js', { type: 'module' })`,
  'a service worker': `
    await navigator.serviceWorker.register('/worker.js', { type: 'module' })
    globalThis.worker = (await navigator.serviceWorker.ready).active
  `,
}

/** In the page. */
declare const worker: { postMessage(file: File, ports: readonly unknown[]): void } | undefined

describeInChromium('in Chromium, the client', () => {
  test.each(Object.entries(PAGES))(
    'resumes after a broken connection in %s, and sends a finished file not again',
    async (_name, script) => {
      const { page, gate, directory, patches } = await start(script)
      const held = gate.holdAfter(4 * MiB)

      const running = send(page)
      await held
      await expect.poll(() => sizeAt(gate)).toBeGreaterThan(3 * MiB)
      gate.cut()
      gate.reconnect()
      const sent = await running
      const count = patches.length
      const again = await send(page)

      // Chromium itself repeats a request whose connection breaks; the server refuses that one with
      // 412.
      const large = patches.filter((size) => size > MiB)
      expect(sent).toEqual({ state: 'done', isUnchanged: false })
      expect(large.some((size) => size < Math.max(...large) - 2 * MiB)).toBe(true)
      expect(again).toEqual({ state: 'done', isUnchanged: true })
      expect(patches.length).toBe(count)
      const expected = Buffer.alloc(SIZE, Buffer.from(BLOCK))
      expect((await readFile(path.join(directory, 'a'))).equals(expected)).toBe(true)
    },
  )
})

async function start(script: string) {
  const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-worker-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const patches: number[] = []
  const app = await pageApp(script, WORKER)
  app.use('/files', (req, _res, next) => {
    if (req.method === 'PATCH') patches.push(Number(req.get('content-length')))
    next()
  })
  app.use('/files', partialUpload({ storage: fsStorage({ directory, fsync: 'never' }) }))
  const { server } = await serveApp(app)
  const gate = await Gate.to(portOf(server))
  const page = await openPage(gate.origin)
  await page.waitForFunction(() => 'worker' in globalThis)
  return { page, gate, directory, patches }
}

/** Bytes that the server has stored. */
async function sizeAt({ origin }: Gate): Promise<number> {
  const { headers } = await fetch(`${origin}/files/a`, { method: 'HEAD' })
  return Number(headers.get('content-length'))
}

/** Gives the worker a file, and resolves with the last state of its upload. */
async function send(page: Page): Promise<unknown> {
  return page.evaluate(
    async ([block, size]) => {
      const blocks = Array.from({ length: size / block.length + 1 }, () => new Uint8Array(block))
      const bytes = new Blob(blocks).slice(0, size)
      const file = new File([bytes], 'film.mp4', { lastModified: 1_700_000_000_000 })
      const { port1, port2 } = new MessageChannel()
      const answer = new Promise((resolve) => {
        port1.addEventListener('message', (event) => resolve('data' in event ? event.data : null))
      })
      port1.start()
      worker?.postMessage(file, [port2])
      return answer
    },
    [BLOCK, SIZE] as const,
  )
}
