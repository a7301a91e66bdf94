import { mkdir, open, readFile, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import {
  IN_FLIGHT,
  choose,
  chooseAndHold,
  drop,
  fileRow,
  hashOf,
  newFolder,
  openByGate,
  openPage,
  press,
  reloadWhileHeld,
  says,
  sharedServer,
  uploadRow,
  writeRandom,
} from '../support/browser/page-setup.ts'

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

/** Changes seven bytes of a file, and leaves its size and its times as they were. */
async function edit(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+')
  const { atime, mtime } = await handle.stat()
  await handle.write('changed', position)
  await handle.close()
  await utimes(file, atime, mtime)
}

describeInChromium('the state of a file on the page', () => {
  const server = sharedServer()

  test('is "different" after seven bytes in the middle have changed, and Replace sends it', async () => {
    const { page } = await openByGate(server)
    const film = await writeRandom(await newFolder(), 'film.mp4', 5_000_000)
    await choose(page, film)
    await says(uploadRow(page, 'film.mp4'), 'Complete')
    await edit(film, 2_500_000)
    await page.reload()

    await choose(page, film)
    await says(uploadRow(page, 'film.mp4'), 'a different file of this name')
    await press(uploadRow(page, 'film.mp4'), 'Replace')
    await says(uploadRow(page, 'film.mp4'), 'Complete · 5.0 MB')

    expect(await hashOf(server.pathOf('film.mp4'))).toBe(await hashOf(film))
  })

  test('is right after an edit while half of the file was on the server', async () => {
    const { page, gate } = await openByGate(server)
    const film = await writeRandom(await newFolder(), 'film.mp4', 2 * IN_FLIGHT)
    await chooseAndHold(page, film, gate, 5_000_000)
    await reloadWhileHeld(page, gate)
    await says(fileRow(page, 'film.mp4'), '% arrived')
    await edit(film, 1000)

    await choose(page, film)
    const row = uploadRow(page, 'film.mp4')
    await expect
      .poll(async () => row.locator('.line').textContent(), { timeout: 60_000 })
      .toMatch(/^Complete|different file/)
    if ((await row.getByRole('button', { name: /^Replace/ }).count()) > 0) {
      await press(row, 'Replace')
      await says(row, 'Complete')
    }

    expect(await hashOf(server.pathOf('film.mp4'))).toBe(await hashOf(film))
  })

  test('names the file that has the name of its folder, and the number of failures', async () => {
    await fetch(`${server.origin}/files/trip`, { method: 'PUT', body: '1' })
    const { page } = await openByGate(server)
    const folder = path.join(await newFolder(), 'trip')
    await mkdir(folder)
    for (const name of ['1.jpg', '2.jpg']) await writeRandom(folder, name, 3)

    await drop(page, folder)

    for (const name of ['trip/1.jpg', 'trip/2.jpg']) {
      await says(uploadRow(page, name), "has a file named trip, so there can't be a folder trip.")
    }
    await page
      .locator('#uploads .summary', { hasText: /^0 of 2 files complete · 2 failed/ })
      .waitFor()
  })

  test('has the time of the next attempt while the server fails', async () => {
    const page = await openPage(server.origin)
    await page.route('**/files/a.txt', async (route) => route.fulfill({ status: 500 }))

    await choose(page, await writeRandom(await newFolder(), 'a.txt', 3))

    await says(uploadRow(page, 'a.txt'), 'The server failed; next try in')
  })

  test.each([
    [401, 'The server requires you to sign in. Sign in, then try again'],
    [403, 'The server does not allow you to store this file. Ask its operator for permission'],
    [404, 'The upload address does not exist on the server. Ask its operator where to upload'],
    [413, 'The file is larger than the server accepts. Choose a smaller one'],
    [507, 'The server has no space left. Ask its operator, or try again later'],
  ])(
    'that is refused with %i without a problem document explain the status',
    async (status, words) => {
      const { page } = await openByGate(server)
      const file = path.join(await newFolder(), 'a.txt')
      await writeFile(file, 'a')
      await page.route('**/files/a.txt', async (route) => route.fulfill({ status, body: '' }))

      await choose(page, file)

      await says(uploadRow(page, 'a.txt'), words)
      await expect(readFile(server.pathOf('a.txt'))).rejects.toThrow('ENOENT')
    },
  )

  test.each([
    ['by title only', { title: 'Forbidden' }, 'The server does not allow you to store this file'],
    ['in words of the app', { title: 'Forbidden', detail: 'We are closed' }, 'We are closed'],
    [
      'as too large',
      { code: 'ERR_SIZE_LIMIT', detail: 'at least 5 bytes', limit: 3_000_000 },
      'The file is larger than the server accepts, which is 3.0\u00a0MB. Choose a smaller one',
    ],
  ])('that is refused %s are written for people', async (_, problem, words) => {
    const { page } = await openByGate(server)
    const file = await writeRandom(await newFolder(), 'a.txt', 3)
    const contentType = 'application/problem+json'
    const answer = { status: 403, contentType, body: JSON.stringify(problem) }
    await page.route('**/files/a.txt', async (route) => route.fulfill(answer))

    await choose(page, file)

    await says(uploadRow(page, 'a.txt'), words)
  })
})
