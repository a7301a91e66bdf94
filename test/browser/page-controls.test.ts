import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { Page } from 'playwright-core'
import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import {
  IN_FLIGHT,
  choose,
  chooseAndHold,
  drop,
  fileRow,
  hashOf,
  listen,
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

describeInChromium('a user of the page', () => {
  const server = sharedServer()

  async function contents(...keys: readonly string[]): Promise<readonly string[]> {
    return Promise.all(keys.map((key) => readFile(server.pathOf(key), 'utf8')))
  }

  test('uploads, pauses, resumes and deletes by the keyboard alone', async () => {
    const { page, gate } = await openByGate(server)
    const film = await writeRandom(await newFolder(), 'film.mp4', 30_000_000)

    const held = gate.holdAfter(5_000_000)
    await page.keyboard.press('Tab')
    const chooser = page.waitForEvent('filechooser')
    await page.keyboard.press('Enter')
    await (await chooser).setFiles(film)
    await held
    await tabTo(page, 'Pause film.mp4')
    await page.keyboard.press('Enter')
    await says(uploadRow(page, 'film.mp4'), 'Paused')
    gate.open()
    // The focused element has become another button, and has kept the focus.
    await page.keyboard.press('Enter')
    await says(uploadRow(page, 'film.mp4'), 'Complete · 30 MB')
    const sent = await hashOf(server.pathOf('film.mp4'))
    await tabTo(page, 'Delete… film.mp4')
    await page.keyboard.press('Enter')
    await expect.poll(() => focused(page)).toBe('Keep film.mp4')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Enter')
    await page.getByText('No files yet.').waitFor()

    expect(sent).toBe(await hashOf(film))
    await expect.poll(() => focused(page)).toBe('On the server')
  })

  test('chooses between replacing and keeping both when a name is taken', async () => {
    const { page } = await openByGate(server)
    const folder = await newFolder()
    await writeFile(server.pathOf('a.txt'), 'the old a')
    await writeFile(server.pathOf('b.txt'), 'the old b')
    await writeFile(server.pathOf('c.txt'), 'the old c')
    for (const name of 'abc') await writeFile(path.join(folder, `${name}.txt`), `new ${name}`)

    await choose(page, ...['a', 'b', 'c'].map((name) => path.join(folder, `${name}.txt`)))
    for (const name of 'abc') {
      await says(uploadRow(page, `${name}.txt`), 'a different file of this name, of 9 bytes')
      await says(fileRow(page, `${name}.txt`), '9 bytes')
    }
    await press(uploadRow(page, 'a.txt'), 'Replace')
    await says(uploadRow(page, 'a.txt'), 'Complete')
    await press(uploadRow(page, 'b.txt'), 'Keep both')
    await says(uploadRow(page, 'b (2).txt'), 'Complete')
    await press(uploadRow(page, 'c.txt'), 'Dismiss')

    expect(await contents('a.txt', 'b.txt', 'b (2).txt', 'c.txt')).toEqual([
      'new a',
      'the old b',
      'new b',
      'the old c',
    ])
  })

  test('sees on a narrow screen which file a name clashes with', async () => {
    const { page } = await openByGate(server)
    const file = path.join(await newFolder(), 'a.txt')
    await writeFile(file, 'new')
    await writeFile(server.pathOf('a.txt'), 'the old a')
    await page.setViewportSize({ width: 320, height: 640 })

    await choose(page, file)
    await says(uploadRow(page, 'a.txt'), 'a different file of this name')

    const box = await uploadRow(page, 'a.txt').locator('.line').boundingBox()
    expect(box?.width).toBeGreaterThan(200)
  })

  test('sends two files of one name one after the other', async () => {
    const { page, gate } = await openByGate(server)
    const [first, second] = [
      await writeRandom(await newFolder(), 'film.mp4', 20_000_000),
      await writeRandom(await newFolder(), 'film.mp4', 10_000_000),
    ]
    const rows = uploadRow(page, 'film')

    await chooseAndHold(page, first, gate, 5_000_000)
    await choose(page, second)
    await says(rows.nth(1), 'Another file of this name is uploaded first')
    gate.open()
    // The first one moves below the second one, which needs a decision.
    await says(rows.nth(1), 'Complete · 20 MB')
    await says(rows.nth(0), 'a different file of this name, of 20 MB')
    await press(rows.nth(0), 'Keep both')
    await says(uploadRow(page, 'film (2)'), 'Complete · 10 MB')

    expect(await hashOf(server.pathOf('film.mp4'))).toBe(await hashOf(first))
    expect(await hashOf(server.pathOf('film (2).mp4'))).toBe(await hashOf(second))
  })

  test('reads that the server has the same file already', async () => {
    const { page } = await openByGate(server)
    const file = path.join(await newFolder(), 'a.txt')
    await writeFile(file, 'a')
    await writeFile(server.pathOf('a.txt'), 'a')

    await choose(page, file)

    await says(uploadRow(page, 'a.txt'), 'The server already has this file')
  })

  test.each([
    ['Keep', ['film.mp4']],
    ['Remove', []],
  ])(
    'answers %s for the part that has arrived when an upload is cancelled',
    async (answer, left) => {
      const { page, gate } = await openByGate(server)
      const film = await writeRandom(await newFolder(), 'film.mp4', 2 * IN_FLIGHT)
      const row = uploadRow(page, 'film.mp4')

      await chooseAndHold(page, film, gate, 5_000_000)
      await expect.poll(() => server.list()).toHaveLength(1)
      await press(row, 'Cancel')
      gate.open()
      await says(row, 'Keep this part to resume later?')
      await press(row, answer)
      await row.waitFor({ state: 'detached' })

      const listed = await server.list()
      expect(listed.map(({ key }) => key)).toEqual(left)
    },
  )

  test('reads why a file is refused, and tries again', async () => {
    const { page } = await openByGate(server)
    const file = await writeRandom(await newFolder(), 'trip', 900_000)
    const row = uploadRow(page, 'trip')
    // A folder has the path of the file.
    await fetch(`${server.origin}/files/trip/1.jpg`, { method: 'PUT', body: '1' })

    await choose(page, file)
    await says(row, 'The server has a folder named trip. Rename this file or delete the folder')
    const offered = await row.getByRole('button').allTextContents()
    await press(fileRow(page, 'trip/1.jpg'), 'Delete…')
    await press(fileRow(page, 'trip/1.jpg'), 'Delete')
    await fileRow(page, 'trip/1.jpg').waitFor({ state: 'detached' })
    await press(row, 'Try again')
    await says(row, 'Complete')

    // No byte of it has arrived that could be kept or removed.
    expect(offered).toEqual(['Try again', 'Dismiss'])
    expect(await hashOf(server.pathOf('trip'))).toBe(await hashOf(file))
  })

  test('reads why a name is refused', async () => {
    const { page } = await openByGate(server)
    const file = await writeRandom(await newFolder(), 'a\\b.txt', 3)

    await choose(page, file)

    const row = uploadRow(page, 'b.txt')
    await says(row, 'The name contains a character that the server does not accept (\\)')
    expect(await row.getByRole('button').allTextContents()).toEqual(['Dismiss'])
  })

  test('reads that a folder was empty, until files are chosen', async () => {
    const { page } = await openByGate(server)
    const folder = path.join(await newFolder(), 'empty')
    await mkdir(folder)
    const notice = page.getByText('The folder contains no files.').and(page.locator('.drop *'))

    await drop(page, folder)
    await notice.waitFor()
    await choose(page, await writeRandom(await newFolder(), 'a.txt', 3))

    await notice.waitFor({ state: 'detached' })
  })

  test('is asked before leaving while files are under way, and not after', async () => {
    const { page, gate } = await openByGate(server)
    const film = await writeRandom(await newFolder(), 'film.mp4', 2 * IN_FLIGHT)
    const asked: string[] = []
    page.on('dialog', (dialog) => asked.push(dialog.type()))

    await chooseAndHold(page, film, gate, 2_000_000)
    await page.reload()
    const whileUnderWay = asked.length
    gate.open()
    await choose(page, film)
    await says(uploadRow(page, 'film.mp4'), 'Complete')
    await page.reload()

    expect(whileUnderWay).toBe(1)
    expect(asked).toEqual(['beforeunload'])
  })

  test('chooses 80 files: three upload at a time, with fewer than 20 announcements', async () => {
    const { page } = await openByGate(server)
    const folder = await newFolder()
    const names = Array.from({ length: 80 }, (_, index) => `${index + 1000}.txt`)
    for (const name of names) await writeFile(path.join(folder, name), name.repeat(100))
    const most = watchConcurrency(page)
    const hear = await listen(page)

    await choose(page, ...names.map((name) => path.join(folder, name)))
    await page
      .locator('#uploads .summary', { hasText: /^80 files complete/ })
      .waitFor({ timeout: 100_000 })
    const rows = await page.locator('#uploads li').count()
    const [first, last] = await contents('1000.txt', '1079.txt')

    const spoken = await hear()
    expect(most()).toBe(3)
    expect(rows).toBeLessThan(10)
    expect([first, last]).toEqual(['1000.txt'.repeat(100), '1079.txt'.repeat(100)])
    expect(spoken[0]).toMatch(/^80 files added\./)
    expect(spoken.length).toBeLessThan(20)
  })

  test.each(['Choose a folder', 'a drop'])('adds a folder by %s', async (way) => {
    const { page } = await openByGate(server)
    const folder = path.join(await newFolder(), 'trip')
    await mkdir(path.join(folder, 'day 1'), { recursive: true })
    await writeFile(path.join(folder, 'a.txt'), 'a')
    await writeFile(path.join(folder, 'day 1/b.txt'), 'b')

    if (way === 'a drop') await drop(page, folder)
    else await page.getByLabel(way).setInputFiles(folder)
    await page.locator('#uploads .summary', { hasText: /^2 files complete/ }).waitFor()

    expect(await contents('trip/a.txt', 'trip/day 1/b.txt')).toEqual(['a', 'b'])
  })
})

/** Name of what has the focus. */
async function focused(page: Page): Promise<unknown> {
  return page.evaluate(
    'document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()',
  )
}

/**
 * Presses Tab until `name` has the focus. Cycles through the page many times, because it may still
 * load its list.
 */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 2000; presses += 1) {
    if ((await focused(page)) === name) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`${name} is not reached by the Tab key`)
}

/** Counts the PATCH requests in progress, and returns the largest number. */
function watchConcurrency(page: Page): () => number {
  let [now, most] = [0, 0]
  page.on('request', (request) => {
    if (request.method() === 'PATCH') now += 1
    most = Math.max(most, now)
  })
  const end = (request: { method(): string }): void => {
    if (request.method() === 'PATCH') now -= 1
  }
  page.on('requestfinished', end).on('requestfailed', end)
  return () => most
}
