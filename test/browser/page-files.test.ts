import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { crc32, deflateSync } from 'node:zlib'

import type { Page } from 'playwright-core'
import { expect, test, vi } from 'vitest'

import { describeInChromium, newContext } from '../support/browser/chromium.ts'
import {
  choose,
  fileRow,
  listen,
  newFolder,
  openPage,
  press,
  says,
  sharedServer,
  uploadRow,
} from '../support/browser/page-setup.ts'

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

describeInChromium('several files on the server', () => {
  const server = sharedServer()

  /** Stores files one after the other, so that the last one is the newest. */
  async function store(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
    for (const [name, body] of Object.entries(files)) {
      await fetch(`${server.origin}/files/${encodeURIComponent(name)}`, { method: 'PUT', body })
    }
  }

  test('are found by the words of a search, and sorted', async () => {
    await store({ 'Report 10.txt': 'aaa', 'report 9.txt': 'a', 'photo.txt': 'aa' })
    const page = await openPage(server.origin)
    await fileRow(page, 'photo').waitFor()

    const newest = await names(page)
    await page.getByLabel('Sort files').selectOption('By name')
    const byName = await names(page)
    await page.getByLabel('Sort files').selectOption('Largest first')
    const largest = await names(page)
    await page.getByLabel('Search files').fill('1 REP')
    const found = await names(page)
    const summary = await page.locator('#files .summary').textContent()
    await page.getByLabel('Search files').fill('nothing')

    await page.getByText('No file has such a name.').waitFor()
    expect(newest).toEqual(['photo.txt', 'report 9.txt', 'Report 10.txt'])
    expect(byName).toEqual(['photo.txt', 'report 9.txt', 'Report 10.txt'])
    expect(largest).toEqual(['Report 10.txt', 'photo.txt', 'report 9.txt'])
    expect(found).toEqual(['Report 10.txt'])
    expect(summary).toBe('1 of 3 files · 3\u00a0bytes')
  })

  test('are deleted together, without those that the search has hidden', async () => {
    await store({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c', 'd.log': 'd' })
    const page = await openPage(server.origin)
    const bar = page.locator('.selected')
    const hear = await listen(page)

    await page.getByLabel('Select d.log').check()
    await page.getByLabel('Search files').fill('txt')
    await bar.waitFor({ state: 'hidden' })
    await page.getByLabel('Select all files').check()
    await page.getByLabel('Select b.txt').uncheck()
    await press(bar, 'Delete…')
    await bar.getByText("Delete 2 files (2\u00a0bytes)? It can't be undone.").waitFor()
    await press(bar, 'Delete')
    await fileRow(page, 'a.txt').waitFor({ state: 'detached' })
    await fileRow(page, 'c.txt').waitFor({ state: 'detached' })

    expect((await server.list()).map(({ key }) => key).toSorted()).toEqual(['b.txt', 'd.log'])
    // On a busy machine there may be an announcement for each.
    const both = /2 files are deleted|is deleted.*is deleted/
    await expect.poll(async () => (await hear()).join(' ')).toMatch(both)
    // The bar is hidden, so that the heading of the list has got the focus.
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('files-heading')
  })

  test('are not deleted if another one was selected after the question', async () => {
    await store({ 'a.txt': 'a', 'b.txt': 'b' })
    const page = await openPage(server.origin)
    const bar = page.locator('.selected')

    await page.getByLabel('Select a.txt').check()
    await press(bar, 'Delete…')
    await page.getByLabel('Select b.txt').check()

    await bar.getByText('2 files selected').waitFor()
  })

  test('fit into a narrow page together with all buttons', async () => {
    await store({ 'a.txt': 'a', 'b.txt': 'b' })
    const page = await openPage(server.origin)
    await page.setViewportSize({ width: 320, height: 640 })

    await page.getByLabel('Select all files').check()
    await press(page.locator('.selected'), 'Delete…')

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320)
  })

  test('have their links copied to the clipboard', async () => {
    await store({ 'a b.txt': 'a', 'c.txt': 'c' })
    const context = await newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    const page = await openPage(server.origin, context)
    const bar = page.locator('.selected')

    await page.getByLabel('Select all files').check()
    await press(bar, 'Copy links')
    await bar.getByText('Copied 2 links').waitFor()

    const links = ['c.txt', 'a%20b.txt'].map((name) => `${server.origin}/files/${name}`)
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(links.join('\n'))
  })

  test('show small images, and icons for the rest, which the policy of the page allows', async () => {
    await store({
      'a.png': png(8),
      'broken.png': 'not an image',
      'large.png': Buffer.alloc(200_001),
    })
    const page = await openPage(server.origin)
    const problems: string[] = []
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) problems.push(message.text())
    })
    const image = path.join(await newFolder(), 'b.png')
    await writeFile(image, png(8))

    await choose(page, image)
    await says(uploadRow(page, 'b.png'), 'Complete')
    await uploadRow(page, 'b.png').locator('canvas').waitFor()
    await fileRow(page, 'a.png').locator('img').waitFor()
    await expect.poll(() => fileRow(page, 'a.png').locator('img').evaluate(widthOf)).toBe(8)
    for (const name of ['broken.png', 'large.png']) {
      await fileRow(page, name).locator('use[href="#icon-image"]').waitFor({ state: 'attached' })
    }

    expect(problems).toEqual([])
  })

  test('show the new image after a file was replaced', async () => {
    await store({ 'a.png': png(8) })
    const page = await openPage(server.origin)
    const image = fileRow(page, 'a.png').locator('img')

    await expect.poll(() => image.evaluate(widthOf)).toBe(8)
    await store({ 'a.png': png(16) })

    await expect.poll(() => image.evaluate(widthOf)).toBe(16)
  })
})

describeInChromium('the ways to add files', () => {
  const server = sharedServer()

  test('include a paste of a picture, which gets a name of its own', async () => {
    const context = await newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    const page = await openPage(server.origin, context)
    await page.evaluate(`(async () => {
      const bytes = Uint8Array.from(atob('${png(8).toString('base64')}'), (c) => c.charCodeAt(0))
      const blob = new Blob([bytes], { type: 'image/png' })
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })])
    })()`)

    await page.keyboard.press('Control+V')
    await says(uploadRow(page, 'pasted'), 'Complete')

    const [listed] = await server.list()
    expect(listed?.key).toMatch(/^pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/)
    // The browser encodes the picture again.
    const bytes = await readFile(server.pathOf(listed?.key ?? ''))
    expect(bytes.subarray(1, 4).toString()).toBe('PNG')
  })

  test('leave pasted text to the search field', async () => {
    for (const name of ['first.txt', 'second.txt']) {
      await fetch(`${server.origin}/files/${name}`, { method: 'PUT', body: name })
    }
    const context = await newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    const page = await openPage(server.origin, context)
    const search = page.getByLabel('Search files')
    await search.waitFor()
    await page.evaluate(`navigator.clipboard.writeText('second')`)

    await search.press('Control+V')
    await fileRow(page, 'first.txt').waitFor({ state: 'detached' })

    expect(await search.inputValue()).toBe('second')
    expect(await page.locator('.trouble').textContent()).toBe('')
  })

  test('include a click into the drop area', async () => {
    const page = await openPage(server.origin)

    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.locator('.drop').click({ position: { x: 5, y: 5 } }),
    ])
    await chooser.setFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })

    await says(uploadRow(page, 'a.txt'), 'Complete')
  })
})

/** The names of the files in the order of the list. */
async function names(page: Page): Promise<readonly string[]> {
  return page.locator('#files .name').allTextContents()
}

/** The width of a loaded image, in pixels. */
function widthOf(image: Element): number {
  return 'naturalWidth' in image ? Number(image.naturalWidth) : 0
}

/** A black picture with sides of this number of pixels, a multiple of 8. */
function png(side: number): Buffer {
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 1, 0, 0, 0, 0])
  const rows = deflateSync(Buffer.alloc((1 + side / 8) * side))
  const chunks = [chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks])
}

function chunk(type: string, data: Buffer): Buffer {
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  const content = Buffer.concat([Buffer.from(type), data])
  length.writeUInt32BE(data.byteLength)
  sum.writeUInt32BE(crc32(content))
  return Buffer.concat([length, content, sum])
}
