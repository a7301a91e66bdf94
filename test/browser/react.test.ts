import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, onTestFinished, test, vi } from 'vitest'

import { portOf } from '../support/examples/serve.ts'
import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, serveApp } from '../support/browser/client-page.ts'
import { Proxy } from '../support/client/proxy.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const KiB = 1024

/** React's strict mode runs every effect twice, with an unmounting between. */
const SCRIPT = `
  import { createElement, StrictMode, useState } from 'react'
  import { createRoot } from 'react-dom/client'
  import { useUploads } from 'partial-upload/react'

  const counts = { seen: 0 }
  globalThis.counts = counts

  function Uploads() {
    const [token, setToken] = useState('first')
    const { files, progress, add, pause, resume, retry, cancel } = useUploads({
      url: '/files/' + token,
      minDelay: 10,
      headers: () => ({ 'X-Token': token }),
      onBeforeRequest: ({ headers }) => headers.set('X-Hook', token),
      shouldRetry: (error) => token === 'second' && error.status === 403,
      onFile: () => counts.seen++,
    })
    const button = (name, onClick) => createElement('button', { key: name, onClick }, name)
    return [
      createElement('input', { key: 'input', type: 'file', multiple: true, onChange: (event) => add(event.target.files) }),
      button('Pause', pause),
      button('Resume', resume),
      button('Retry', retry),
      button('Cancel', cancel),
      button('Renew', () => setToken('second')),
      createElement('output', { key: 'total' }, progress.complete + ' of ' + progress.files),
      ...files.map(({ file, status }) => createElement('p', { key: file.name }, file.name + ' ' + status.state)),
    ]
  }

  function App() {
    const [isShown, setShown] = useState(true)
    return [
      createElement('button', { key: 'hide', onClick: () => setShown(false) }, 'Hide'),
      isShown && createElement(Uploads, { key: 'uploads' }),
    ]
  }

  createRoot(document.body).render(createElement(StrictMode, null, createElement(App)))
`

vi.setConfig({ testTimeout: 120_000 })

describeInChromium("React's hook", () => {
  test('renders each file until it is complete, and files that are added later', async () => {
    const { page, read } = await start()

    await page.locator('input').setInputFiles([file('a'), file('b')])
    await page.getByText('2 of 2').waitFor()
    await page.locator('input').setInputFiles(file('c'))
    await page.getByText('3 of 3').waitFor()

    expect(await page.locator('p').allTextContents()).toEqual(['a done', 'b done', 'c done'])
    expect((await read('c')).equals(file('c').buffer)).toBe(true)
  })

  test('pauses and resumes all', async () => {
    const { page, proxy, read } = await start()
    proxy.fail('PATCH', { kind: 'stall', after: 100 * KiB })
    const stalled = proxy.stalled()

    await page.locator('input').setInputFiles(file('a'))
    await stalled
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('a paused').waitFor()
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText('a done').waitFor()

    expect((await read('a')).equals(file('a').buffer)).toBe(true)
  })

  test('retries with the headers of the last rendering', async () => {
    const { page, proxy } = await start()
    proxy.fail('HEAD', { kind: 'answer', status: 403 })

    await page.locator('input').setInputFiles(file('a'))
    await page.getByText('a failed').waitFor()
    await page.getByRole('button', { name: 'Renew' }).click()
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByText('a done').waitFor()

    const tokens = proxy.seen.map(({ headers }) => headers['x-token']).filter(Boolean)
    expect([tokens[0], tokens.at(-1)]).toEqual(['first', 'second'])
  })

  test('uses the URL and the hooks of the last rendering', async () => {
    const { page, proxy, seen } = await start()

    await page.locator('input').setInputFiles(file('a'))
    await page.getByText('a done').waitFor()
    await page.getByRole('button', { name: 'Renew' }).click()
    proxy.fail('HEAD', { kind: 'answer', status: 403 })
    await page.locator('input').setInputFiles(file('b'))
    await page.getByText('b done').waitFor()

    expect([...new Set(seen)]).toEqual(['/files/first/a first', '/files/second/b second'])
  })

  test('ends its uploads with the component, and the server keeps the stored bytes', async () => {
    const { page, proxy, url } = await start()
    proxy.fail('PATCH', { kind: 'stall', after: 100 * KiB })
    const stalled = proxy.stalled()

    await page.locator('input').setInputFiles(file('a'))
    await stalled
    await page.getByRole('button', { name: 'Hide' }).click()
    await page.locator('input').waitFor({ state: 'detached' })

    await expect
      .poll(async () => (await fetch(`${url}/files/first/a`, { method: 'HEAD' })).status)
      .toBe(299)
  })
})

function file(name: string) {
  const buffer = Buffer.alloc(300 * KiB, `content of ${name}`)
  return { name, mimeType: 'text/plain', buffer }
}

/** A page with a component, behind a proxy that can break its requests. */
async function start() {
  const { outputFiles } = await build({
    stdin: { contents: SCRIPT, resolveDir: path.join(root, 'examples') },
    bundle: true,
    format: 'esm',
    conditions: ['@partial-upload/source'],
    write: false,
  })
  const code = outputFiles[0]?.text ?? ''
  const html = '<!doctype html><body></body><script type="module" src="main.js"></script>'
  /** The path of each request to the store, and the value of a field that a hook has set. */
  const seen: string[] = []
  const app = express()
    .use('/files', (req, _res, next) => {
      seen.push(`${req.originalUrl} ${String(req.get('x-hook'))}`)
      next()
    })
    .get('/', (_req, res) => void res.send(html))
    .get('/main.js', (_req, res) => void res.type('js').send(code))
    .get('/favicon.ico', (_req, res) => void res.status(204).end())
    .use('/files', partialUpload({ storage: memoryStorage() }))
  const { server, url } = await serveApp(app)
  const proxy = new Proxy()
  await proxy.start(portOf(server))
  onTestFinished(async () => proxy.stop())
  const page = await openPage(proxy.origin)
  const read = async (name: string) =>
    Buffer.from(await (await fetch(`${url}/files/first/${name}`)).arrayBuffer())
  return { page, proxy, url, seen, read }
}
