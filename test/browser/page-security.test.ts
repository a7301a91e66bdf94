import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { Page } from 'playwright-core'
import { expect, test, vi } from 'vitest'

import { describeInChromium, newContext } from '../support/browser/chromium.ts'
import {
  choose,
  fileRow,
  newFolder,
  openPage,
  press,
  says,
  sharedServer,
  uploadRow,
} from '../support/browser/page-setup.ts'

vi.setConfig({ testTimeout: 60_000 })

describeInChromium('the Content-Security-Policy', () => {
  const server = sharedServer()

  /** Opens the page, and records the complaints of the browser. */
  async function start(): Promise<{ readonly page: Page; readonly problems: readonly string[] }> {
    const context = await newContext()
    const problems: string[] = []
    context.on('console', (message) => {
      // A browser logs each 404, which is expected here before an upload exists.
      const isAnswer = /the server responded with a status/.test(message.text())
      if (message.type() === 'error' && !isAnswer) problems.push(message.text())
    })
    context.on('weberror', (error) => problems.push(error.error().message))
    return { page: await openPage(server.origin, context), problems }
  }

  test('is strict, and the page keeps to it', async () => {
    const { page, problems } = await start()
    const file = path.join(await newFolder(), 'a.txt')
    await writeFile(file, 'a')

    await choose(page, file)
    await says(uploadRow(page, 'a.txt'), 'Complete')
    await press(fileRow(page, 'a.txt'), 'Delete…')
    await press(fileRow(page, 'a.txt'), 'Delete')
    await page.getByText('No files yet.').waitFor()

    const answer = await fetch(server.origin)
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
        "img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    )
    expect(problems).toEqual([])
  })

  test('blocks an injected script', async () => {
    const { page, problems } = await start()

    await page.evaluate(`
      const script = document.createElement('script')
      script.textContent = 'document.title = "taken"'
      document.body.append(script)
    `)

    expect(await page.title()).toBe('partial-upload')
    await vi.waitFor(() => expect(problems.join()).toMatch(/script-src/), 20_000)
  })

  test('keeps a page that was uploaded from running scripts', async () => {
    const { page } = await start()
    await fetch(`${server.origin}/files/evil.html`, {
      method: 'PUT',
      headers: { 'Content-Type': 'text/html' },
      body: '<!doctype html><title>good</title><script>document.title = "evil"</script>',
    })

    const answer = await page.goto(`${server.origin}/files/evil.html`)

    expect(await answer?.headerValues('content-security-policy')).toEqual(['sandbox'])
    expect(await page.title()).toBe('good')
    expect(await page.evaluate('origin')).toBe('null')
  })
})
