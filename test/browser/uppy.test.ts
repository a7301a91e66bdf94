import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

import express, { type Request, type RequestHandler } from 'express'
import { RefusedError, partialUpload, type PartialUploadOptions } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'
import { memoryStorage } from 'partial-upload/storage/memory'
import type { Locator, Page } from 'playwright-core'
import { expect, onTestFinished, test, vi } from 'vitest'

import { createApp } from '../../examples/uppy/server.ts'
import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, pageApp, serveApp, throttle } from '../support/browser/client-page.ts'
import { Proxy } from '../support/client/proxy.ts'
import { portOf } from '../support/examples/serve.ts'

const MiB = 1024 * 1024

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

describeInChromium("Uppy's Dashboard", () => {
  test('uploads two files, and resumes after a pause where it was', async () => {
    const { page, url, server, sent, uploads, write } = await start()
    const files = [await write('film.mp4', 24 * MiB), await write('notes.txt', 12 * MiB)]
    const proxy = new Proxy()
    await proxy.start(portOf(server))
    onTestFinished(async () => proxy.stop())
    // Neither file can be finished before the pause.
    const stall = { kind: 'stall', after: 4 * MiB } as const
    proxy.fail('PATCH', stall).fail('PATCH', stall)
    const stalled = proxy.stalled().then(async () => proxy.stalled())

    await page.goto(proxy.origin)
    await choose(page, files)
    await stalled
    await button(page, 'Pause').click()
    await page.getByText(/Paused: \d+%/).waitFor()
    const kept = await Promise.all(files.map((file) => head(url, file)))
    await button(page, 'Resume').click()
    await page.getByText('Complete', { exact: true }).waitFor()

    expect(await sameOnDisk(uploads, files)).toBe(true)
    expect(kept).toMatchObject([{ status: 299 }, { status: 299 }])
    const [, , , , ...rest] = sent
    const missing = 36 * MiB - kept.reduce((size, { length }) => size + length, 0)
    // A short segment follows each HEAD, and the last segment has the digest of the whole file.
    expect(rest).toHaveLength(6)
    expect(rest.reduce((all, size) => all + size) - missing).toBeLessThan(1000)
  })

  test('resumes without the user when the connection breaks', async () => {
    const { page, server, uploads, write } = await start()
    const file = await write('film.mp4', 12 * MiB)
    await throttle(page, 8 * MiB)

    await choose(page, [file])
    await page.getByText(/Uploading: [1-9]\d?%/).waitFor()
    server.closeAllConnections()
    await throttle(page, -1)
    await page.getByText('Complete', { exact: true }).waitFor()

    expect(await sameOnDisk(uploads, [file])).toBe(true)
  })

  test('removes what has arrived of an upload that is cancelled', async () => {
    const { page, url, write } = await start()
    await throttle(page, 8 * MiB)

    await choose(page, [await write('film.mp4', 24 * MiB)])
    await page.getByText(/Uploading: [1-9]\d?%/).waitFor()
    await expect.poll(async () => (await head(url, 'film.mp4')).status).toBe(299)
    await button(page, 'Remove file').click()

    await page.getByText('Drop files here').waitFor()
    await expect.poll(async () => (await head(url, 'film.mp4')).status).toBe(404)
  })

  test('shows why the server refuses a file, and has a button to retry', async () => {
    let isClosed = true
    const { page, uploads, write } = await start(
      partialUpload({
        storage: memoryStorage(),
        key: (_req, name) => (isClosed ? name : null),
        onCreate: () => {
          throw new RefusedError(403, 'we are closed')
        },
      }),
    )
    const file = await write('film.mp4', MiB)

    await choose(page, [file])
    await page.getByLabel('we are closed').first().waitFor()
    isClosed = false
    await button(page, 'Retry upload').first().click()
    await page.getByText('Complete', { exact: true }).waitFor()

    expect(await sameOnDisk(uploads, [file])).toBe(true)
  })
})

describeInChromium('the plugin', () => {
  test('reports the URL of a file and the answer of the server', async () => {
    const { url, run } = await startPlugin({
      onComplete: (_req, { size }) => ({ status: 201, body: { size } }),
    })

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a b?#ü.txt', type: 'text/plain', data: new Blob(['hello']) })
      const { successful } = await uppy.upload()
      return successful.map(({ uploadURL, response, progress }) => [uploadURL, response, progress])
    `)

    const uploadURL = `${url}/files/a%20b%3F%23%C3%BC.txt`
    const progress = { uploadComplete: true, percentage: 100, bytesUploaded: 5, bytesTotal: 5 }
    expect(result).toMatchObject([
      [uploadURL, { status: 201, body: { size: 5 }, uploadURL }, progress],
    ])
    const stored = await fetch(uploadURL)
    expect(stored.headers.get('content-type')).toBe('text/plain')
    expect(await stored.text()).toBe('hello')
  })

  test('asks for the URL and the fields of each file', async () => {
    const { run, seen } = await startPlugin({
      key: (req, name) => (req.get('authorization') === 'Bearer ann' ? `ann/${name}` : null),
    })

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, {
        endpoint: ({ id, meta }) => '/files/' + meta.folder + '/' + id.length,
        headers: async ({ meta }) => ({ Authorization: 'Bearer ' + meta.user }),
      })
      const meta = { folder: 'letters', user: 'ann' }
      uppy.addFile({ name: 'a.txt', data: new Blob(['hello']), meta })
      const { successful } = await uppy.upload()
      return successful.map(({ uploadURL }) => new URL(uploadURL).pathname)
    `)

    expect(result).toEqual([expect.stringMatching(/^\/files\/letters\/\d+$/)])
    expect(seen).toEqual([`PATCH ${String(result)}`])
  })

  test('sends as many files at the same time as the limit says', async () => {
    let together = 0
    let most = 0
    const arrivals: (() => void)[] = []
    const { run } = await startPlugin({
      onCreate: async () => {
        together += 1
        most = Math.max(most, together)
        await new Promise<void>((resolve) => {
          arrivals.push(resolve)
          // Two can only meet here if two are sent at the same time.
          if (arrivals.length === 2) for (const go of arrivals.splice(0)) go()
        })
      },
      onComplete: () => {
        together -= 1
      },
    })

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/', limit: 2 })
      for (const name of ['a', 'b', 'c', 'd']) uppy.addFile({ name, data: new Blob([name]) })
      const { successful } = await uppy.upload()
      return successful.length
    `)

    expect([result, most]).toEqual([4, 2])
  })

  test('sends another file while one is paused', async () => {
    const { run, seen } = await startPlugin()

    await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/', limit: 1 })
      const [a, b] = ['a', 'b'].map((name) => uppy.addFile({ name, data: new Blob([name]) }))
      uppy.on('upload-start', () => uppy.pauseResume(a))
      uppy.on('upload-success', (file) => file.id === b && uppy.pauseResume(a))
      await uppy.upload()
    `)

    expect(seen).toEqual(['PATCH /files/b', 'PATCH /files/a'])
  })

  test('does not remove what may be the file of another client', async () => {
    let cancel = (): void => undefined
    const isAsked = new Promise<void>((resolve) => (cancel = resolve))
    const { page, url, run, seen } = await startPlugin({}, async (req, _res, next) => {
      if (req.method === 'HEAD') cancel()
      next()
    })
    const headers = { 'Content-Type': 'message/byteranges' }
    const body = 'Content-Range: bytes 0-4/100000\r\n\r\nhello'
    await fetch(`${url}/files/a`, { method: 'PATCH', headers, body })

    const uploaded = run(`
      globalThis.uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a', data: new Blob([new Uint8Array(100000)]) })
      await uppy.upload()
    `)
    await isAsked
    await page.evaluate('uppy.cancelAll()')
    await uploaded
    await page.evaluate('fetch("/files/b")')

    expect(seen.filter((request) => request.startsWith('DELETE'))).toEqual([])
  })

  test('does not remove the upload of another client when a refused upload is cancelled', async () => {
    let cancel = (): void => undefined
    const isRefused = new Promise<void>((resolve) => (cancel = resolve))
    const { page, url, run, seen } = await startPlugin({}, (req, res, next) => {
      if (req.method !== 'PATCH' || req.get('x-other') !== undefined) {
        next()
        return
      }
      res.status(409).set('Retry-After', '60').end()
      cancel()
    })
    await fetch(`${url}/files/a`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges', 'X-Other': '1' },
      body: `Content-Range: bytes 0-4/100000\r\n\r\n${'\0'.repeat(5)}`,
    })

    const uploaded = run(`
      globalThis.uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a', data: new Blob([new Uint8Array(100000)]) })
      globalThis.waits = new Promise((resolve) => uppy.on('upload-stalled', resolve))
      await uppy.upload()
    `)
    await isRefused
    await page.evaluate('waits.then(() => uppy.cancelAll())')
    await uploaded
    await page.evaluate('fetch("/files/b")')

    expect(seen.filter((request) => request.startsWith('DELETE'))).toEqual([])
  })

  test('does not remove a finished file that is cancelled before its answer has arrived', async () => {
    let cancel = (): void => undefined
    const isFinished = new Promise<void>((resolve) => (cancel = resolve))
    const { page, url, run, seen } = await startPlugin({}, (req, res, next) => {
      // The answer never arrives.
      if (req.method === 'PATCH') res.end = () => (cancel(), res)
      next()
    })

    const uploaded = run(`
      globalThis.uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a', data: new Blob(['hello']) })
      await uppy.upload()
    `)
    await isFinished
    await page.evaluate('uppy.cancelAll()')
    await uploaded
    await expect.poll(() => seen).toEqual(['PATCH /files/a', 'HEAD /files/a'])
    await page.evaluate('fetch("/files/b")')

    expect(await (await fetch(`${url}/files/a`)).text()).toBe('hello')
  })

  test('passes the answer to the listeners of an error', async () => {
    const { run } = await startPlugin({ maxSize: 3 })

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a', data: new Blob(['hello']) })
      const reported = new Promise((resolve) => uppy.on('upload-error', (...all) => resolve(all)))
      const { failed } = await uppy.upload()
      const [, error, response] = await reported
      return { error, response, failed: failed.map((file) => file.error) }
    `)

    const message =
      'The resource would be larger than the server allows: the resource would have at least 5 bytes, and at most 3 are accepted'
    expect(result).toMatchObject({
      error: { name: 'ClientError', message },
      response: { status: 400, body: { code: 'ERR_SIZE_LIMIT' } },
      failed: [message],
    })
  })

  test('fails only the file whose name can not be part of a URL', async () => {
    const { url, run } = await startPlugin()

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      uppy.addFile({ name: 'a\\ud800.txt', data: new Blob(['half']) })
      uppy.addFile({ name: 'b.txt', data: new Blob(['hello']) })
      const { successful, failed } = await uppy.upload()
      return [successful.map(({ name }) => name), failed.map(({ error }) => error)]
    `)

    expect(result).toEqual([
      ['b.txt'],
      ['The name of the file contains half of a surrogate pair. Rename the file, then try again'],
    ])
    expect(await (await fetch(`${url}/files/b.txt`)).text()).toBe('hello')
  })

  test('lets Uppy pause only while it is installed', async () => {
    const { run } = await startPlugin()

    const result = await run(`
      const uppy = new Uppy().use(PartialUpload, { endpoint: '/files/' })
      const before = uppy.getState().capabilities.resumableUploads
      uppy.removePlugin(uppy.getPlugin('PartialUpload'))
      return [before, uppy.getState().capabilities.resumableUploads]
    `)

    expect(result).toEqual([true, false])
  })
})

interface Bench {
  readonly page: Page
  readonly server: Server
  readonly url: string
  /** The folder of the uploads. */
  readonly uploads: string
  /** Sizes of the contents of all PATCH requests. */
  readonly sent: readonly number[]
  /** Writes a file of random bytes, and returns its path. */
  readonly write: (name: string, size: number) => Promise<string>
}

/** The example in a page, with what `extra` answers before it does. */
async function start(extra: RequestHandler = (_req, _res, next) => next()): Promise<Bench> {
  const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-uppy-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const uploads = path.join(directory, 'uploads')
  const sent: number[] = []
  const app = express()
  app.use((req, _res, next) => {
    if (req.method === 'PATCH') sent.push(Number(req.get('content-length')))
    next()
  })
  app.use('/files', extra)
  app.use(await createApp(fsStorage({ directory: uploads })))
  const { server, url } = await serveApp(app)
  const page = await openPage(url)
  page.setDefaultTimeout(60_000)
  const write = async (name: string, size: number): Promise<string> => {
    const file = path.join(directory, name)
    await writeFile(file, randomBytes(size))
    return file
  }
  return { page, server, url, uploads, sent, write }
}

/** Chooses files in the Dashboard, and starts their upload. */
async function choose(page: Page, files: readonly string[]): Promise<void> {
  await page
    .locator('input[type=file]')
    .first()
    .setInputFiles([...files])
  await page.getByRole('button', { name: /^Upload \d+ files?$/ }).click()
}

function button(page: Page, name: string): Locator {
  return page.getByRole('button', { name, exact: true })
}

async function head(url: string, file: string): Promise<{ status: number; length: number }> {
  const answer = await fetch(`${url}/files/${path.basename(file)}`, { method: 'HEAD' })
  return { status: answer.status, length: Number(answer.headers.get('content-length')) }
}

async function sameOnDisk(uploads: string, files: readonly string[]): Promise<boolean> {
  const same = files.map(async (file) => {
    const stored = await readFile(path.join(uploads, path.basename(file)))
    return stored.equals(await readFile(file))
  })
  return !(await Promise.all(same)).includes(false)
}

/** A page that has Uppy and the plugin in its global scope. */
async function startPlugin(
  options: Omit<PartialUploadOptions<Request>, 'storage'> = {},
  extra: RequestHandler = (_req, _res, next) => next(),
) {
  const app = await pageApp(`
    import { Uppy } from '@uppy/core'
    import { PartialUpload } from 'partial-upload/uppy'
    Object.assign(globalThis, { Uppy, PartialUpload })
  `)
  const seen: string[] = []
  app.use('/files', (req, _res, next) => {
    seen.push(`${req.method} ${req.originalUrl}`)
    next()
  })
  app.use('/files', extra, partialUpload({ storage: memoryStorage(), ...options }))
  const { url } = await serveApp(app)
  const page = await openPage(url)
  const run = async (script: string) => page.evaluate<unknown>(`(async () => {${script}})()`)
  return { page, url, seen, run }
}
