import { stat, writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { Route } from 'playwright-core'
import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import {
  IN_FLIGHT,
  choose,
  chooseAndHold,
  fileRow,
  hashOf,
  newFolder,
  openByGate,
  press,
  says,
  sharedServer,
  uploadRow,
  writeRandom,
} from '../support/browser/page-setup.ts'

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

describeInChromium('the list of files on the server', () => {
  const server = sharedServer()

  test('does not show an upload as incomplete that finished after the request for the list', async () => {
    const { page, gate } = await openByGate(server)
    const film = await writeRandom(await newFolder(), 'film.mp4', 2 * IN_FLIGHT)

    await chooseAndHold(page, film, gate, 5_000_000)
    const older = new Promise<unknown>((resolve) => {
      const answer = async (route: Route): Promise<void> => {
        const response = await route.fetch()
        gate.open()
        await says(uploadRow(page, 'film.mp4'), 'Complete')
        await route.fulfill({ response })
        resolve(await response.json())
      }
      void page.route('**/list', answer, { times: 1 })
    })
    await page.evaluate(`
      self.seen = ''
      const list = document.querySelector('#files ul')
      new MutationObserver(() => (seen += list.textContent)).observe(list, { childList: true })
    `)
    const [listed] = (await older) as readonly unknown[]
    await says(fileRow(page, 'film.mp4'), '32 MB · today')

    expect(listed).toMatchObject({ key: 'film.mp4', complete: false })
    expect(await page.evaluate('seen')).not.toMatch('arrived')
  })

  test('ends the upload of a file that is deleted', async () => {
    const { page } = await openByGate(server)
    const file = path.join(await newFolder(), 'a.txt')
    await writeFile(file, 'a')

    await choose(page, file)
    await says(uploadRow(page, 'a.txt'), 'Complete')
    await press(fileRow(page, 'a.txt'), 'Delete…')
    await press(fileRow(page, 'a.txt'), 'Delete')
    await page.getByText('No files yet.').waitFor()

    expect(await page.locator('#uploads').isVisible()).toBe(false)
  })

  test.each([
    ['an empty file', 'empty', 0],
    ['right-to-left', 'تقرير المبيعات.pdf', 3],
    ['what a URL gives another meaning', 'a #1 100%25 & more.txt', 3],
    ['255 bytes', `${'long-'.repeat(50)}.bin`, 3],
  ])('sends %s, and downloads it under its name', async (_, name, size) => {
    const { page } = await openByGate(server)
    const file = await writeRandom(await newFolder(), name, size)
    await page.setViewportSize({ width: 320, height: 640 })

    await choose(page, file)
    await says(uploadRow(page, name), 'Complete')
    const download = page.waitForEvent('download')
    await fileRow(page, name).getByRole('link').click()

    const width = await page.evaluate('document.documentElement.scrollWidth')
    expect((await download).suggestedFilename()).toBe(name)
    expect(await hashOf(await (await download).path())).toBe(await hashOf(file))
    expect((await stat(server.pathOf(name))).size).toBe(size)
    expect(width).toBe(320)
  })
})
