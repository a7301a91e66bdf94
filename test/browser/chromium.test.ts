import { expect, onTestFinished, test } from 'vitest'

import { portOf, serve, stop } from '../support/examples/serve.ts'
import { describeInChromium, newContext } from '../support/browser/chromium.ts'

describeInChromium('Chromium', () => {
  test('loads a page and runs its script', async () => {
    const server = await serve((_req, res) => {
      res.setHeader('Content-Type', 'text/html')
      res.end('<!doctype html><title>a</title><script>document.title += "b"</script>')
    })
    onTestFinished(() => stop(server))
    const context = await newContext()

    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${portOf(server)}/`)

    expect(await page.title()).toBe('ab')
  })

  test('isolates the profiles of two contexts', async () => {
    const server = await serve((_req, res) => res.end('a'))
    onTestFinished(() => stop(server))
    const pages = [await (await newContext()).newPage(), await (await newContext()).newPage()]
    for (const page of pages) await page.goto(`http://127.0.0.1:${portOf(server)}/`)

    await pages[0]?.evaluate('localStorage.setItem("a", "b")')

    const found = await Promise.all(pages.map((page) => page.evaluate('localStorage.getItem("a")')))
    expect(found).toEqual(['b', null])
  })
})
