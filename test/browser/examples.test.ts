/** The snippets for pages, which upload the file of an input. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import { openPage, serveApp } from '../support/browser/client-page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const SNIPPETS = [
  {
    example: 'browser/upload.ts',
    script: `
      import { uploadFrom } from './browser/upload.ts'
      const [input, bar, output] = ['input', 'progress', 'output'].map((name) => {
        return document.body.appendChild(document.createElement(name))
      })
      input.type = 'file'
      uploadFrom(input, bar, output)
    `,
    message: 'a b.txt is uploaded',
  },
  {
    example: 'browser/upload-all.ts',
    script: `
      import { uploadAllFrom } from './browser/upload-all.ts'
      const [input, bar, output] = ['input', 'progress', 'output'].map((name) => {
        return document.body.appendChild(document.createElement(name))
      })
      input.type = 'file'
      uploadAllFrom(input, bar, output)
    `,
    message: 'all files are uploaded',
  },
  {
    example: 'react/upload.tsx',
    script: `
      import { createElement } from 'react'
      import { createRoot } from 'react-dom/client'
      import { Upload } from './react/upload.tsx'
      createRoot(document.body).render(createElement(Upload, { folder: '/files/' }))
    `,
    message: 'a b.txt is uploaded',
  },
]
const FILE = { name: 'a b.txt', mimeType: 'text/plain', buffer: Buffer.alloc(100_000, 'text ') }

vi.setConfig({ testTimeout: 120_000 })

describeInChromium('in a page', () => {
  test.each(SNIPPETS)('$example uploads the chosen file', async ({ script, message }) => {
    const { url } = await serveApp(await app(script))
    const page = await openPage(url)

    await page.locator('input').setInputFiles(FILE)
    await page.getByText(message).waitFor()

    const stored = await fetch(`${url}/files/a%20b.txt`)
    expect(await stored.text()).toBe(FILE.buffer.toString())
    const bar = page.locator('progress')
    expect(await bar.evaluate((element: { position: number }) => element.position)).toBe(1)
  })

  test.each(SNIPPETS)('$example shows why the server refuses', async ({ script }) => {
    const { url } = await serveApp(await app(script))
    await fetch(`${url}/files/a%20b.txt`, { method: 'PUT', body: 'a different file' })
    const page = await openPage(url)

    await page.locator('input').setInputFiles(FILE)

    await page.getByText(/ClientError|not complete/).waitFor()
  })
})

async function app(script: string): Promise<express.Express> {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: path.join(root, 'examples') },
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    conditions: ['@partial-upload/source'],
    write: false,
  })
  const code = outputFiles[0]?.text ?? ''
  const page = '<!doctype html><body></body><script type="module" src="main.js"></script>'
  return express()
    .get('/', (_req, res) => void res.send(page))
    .get('/main.js', (_req, res) => void res.type('js').send(code))
    .get('/favicon.ico', (_req, res) => void res.status(204).end())
    .use('/files', partialUpload({ storage: memoryStorage() }))
}
