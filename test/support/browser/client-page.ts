/** A page whose scripts can call the client, and ways to disturb its uploads. */
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import type { Express } from 'express'
import express from 'express'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, onTestFinished } from 'vitest'

import { portOf, serve, stop } from '../examples/serve.ts'
import { newContext } from './chromium.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Names in the global scope of the page. */
const GLOBALS = `
  import * as client from 'partial-upload/client'
  const [input] = document.getElementsByTagName('input')
  Object.assign(globalThis, { client, chosen: (index) => input.files[index] })
`

/** Serves an app on a free port until the test ends. */
export async function serveApp(app: Express): Promise<{ server: Server; url: string }> {
  const server = await serve(app)
  onTestFinished(async () => stop(server))
  return { server, url: `http://127.0.0.1:${portOf(server)}` }
}

/**
 * An app with a page that has a file input, and runs `script`. `worker` is the script of a worker.
 */
export async function pageApp(script: string = GLOBALS, worker?: string): Promise<Express> {
  const code = await bundle(script)
  const workerCode = worker === undefined ? null : await bundle(worker)
  const app = express()
  app.get('/', (_req, res) => {
    res.send(
      '<!doctype html><input type="file" multiple><script type="module" src="main.js"></script>',
    )
  })
  app.get('/main.js', (_req, res) => void res.type('js').send(code))
  if (workerCode !== null) {
    app.get('/worker.js', (_req, res) => void res.type('js').send(workerCode))
  }
  app.get('/favicon.ico', (_req, res) => void res.status(204).end())
  return app
}

const bundles = new Map<string, string>()

/** Each script is bundled once. */
async function bundle(script: string): Promise<string> {
  const known = bundles.get(script)
  if (known !== undefined) return known
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: root },
    bundle: true,
    format: 'esm',
    conditions: ['@partial-upload/source'],
    write: false,
  })
  const code = outputFiles[0]?.text ?? ''
  bundles.set(script, code)
  return code
}

/** Opens a page in a profile of its own. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await newContext(options)).newPage()
  await page.goto(url)
  return page
}

let shared: Promise<{ readonly page: Page; readonly server: Server }> | null = null
afterAll(async () => {
  if (shared !== null) await stop((await shared).server)
})

/** One page for all tests of a file that do not change it. */
export async function sharedPage(): Promise<Page> {
  shared ??= openShared()
  return (await shared).page
}

async function openShared(): Promise<{ readonly page: Page; readonly server: Server }> {
  const server = await serve(await pageApp())
  // The end of the test does not close this context.
  const context = await (await newContext()).browser()!.newContext()
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${portOf(server)}/`)
  return { page, server }
}

/** Limits the page to a number of bytes per second; -1 removes the limit. */
export async function throttle(page: Page, uploadThroughput: number): Promise<void> {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  const rest = { offline: false, latency: 0, downloadThroughput: -1 }
  await session.send('Network.emulateNetworkConditions', { ...rest, uploadThroughput })
}
