import { build } from 'esbuild'
import express from 'express'
import { partialUpload } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, onTestFinished, test } from 'vitest'

import { portOf, serve, stop } from '../examples/serve.ts'
import { describeInChromium, newContext } from './chromium.ts'

describeInChromium('the client in Chromium', () => {
  test('sends memory that threads share', async () => {
    const { outputFiles } = await build({
      stdin: {
        contents: "import { upload } from 'partial-upload/client'; Object.assign(self, { upload })",
        resolveDir: import.meta.dirname,
      },
      bundle: true,
      format: 'esm',
      write: false,
      conditions: ['@partial-upload/source'],
    })
    const app = express()
    app.use('/files', partialUpload({ storage: memoryStorage() }))
    app.get('/', (_req, res) => void res.type('html').send('<!doctype html>'))
    const server = await serve(app)
    onTestFinished(() => stop(server))
    const page = await (await newContext()).newPage()
    await page.goto(`http://127.0.0.1:${portOf(server)}/`)
    await page.addScriptTag({ type: 'module', content: outputFiles[0]?.text ?? '' })

    const status = await page.evaluate(`
      const { buffer } = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true })
      const bytes = new Uint8Array(buffer).fill(97)
      upload('/files/a', bytes).done.then(({ status }) => status)
    `)

    const stored = await fetch(`http://127.0.0.1:${portOf(server)}/files/a`)
    expect(status).toBe(201)
    expect(await stored.text()).toBe('a'.repeat(2 * 65_536))
  })
})
