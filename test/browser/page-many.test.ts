import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import {
  IN_FLIGHT,
  choose,
  fileRow,
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

const LONG = 'a recording of the conference on the second day of the spring.mp4'

describeInChromium('the page with several files', () => {
  const server = sharedServer()

  test('has one bar for all files, and names those that a reload has kept from starting', async () => {
    const { page, gate } = await openByGate(server)
    const folder = await newFolder()
    const names = ['1.mp4', '2.mp4', '3.mp4', '4.mp4', '5.mp4']
    const files = await Promise.all(
      names.map(async (name) => writeRandom(folder, name, 2 * IN_FLIGHT)),
    )
    const total = page.getByRole('progressbar', { name: 'Progress of all uploads' })
    const unsent = page.locator('.unsent')

    const held = gate.holdAfter(1_000_000)
    await choose(page, ...files)
    await held
    await total.waitFor()
    await says(uploadRow(page, '5.mp4'), 'Waiting for its turn')
    await reloadWhileHeld(page, gate)
    await unsent.getByText('4.mp4, 5.mp4').waitFor()
    await choose(page, files[4] ?? '')
    await unsent.getByText('page was closed: 4.mp4.').waitFor()
    await unsent.getByRole('button', { name: 'Dismiss' }).click()
    await says(uploadRow(page, '5.mp4'), 'Complete')
    await page.reload()

    expect(await unsent.isVisible()).toBe(false)
  })

  test('shows running uploads on top, but moves no row under the pointer', async () => {
    await fetch(`${server.origin}/files/clash.txt`, { method: 'PUT', body: 'old' })
    const { page, gate } = await openByGate(server)
    const folder = await newFolder()
    const film = await writeRandom(folder, 'film.mp4', 2 * IN_FLIGHT)
    const [notes, clash] = [path.join(folder, 'notes.txt'), path.join(folder, 'clash.txt')]
    await writeFile(notes, 'notes')
    await writeFile(clash, 'new')
    const names = async () => page.locator('#uploads .name').allTextContents()

    const held = gate.holdAfter(1_000_000)
    await choose(page, notes, clash, film)
    await held
    await says(uploadRow(page, 'notes.txt'), 'Complete')
    await says(uploadRow(page, 'clash.txt'), 'a different file of this name')
    const whileRunning = await names()
    await uploadRow(page, 'film.mp4').hover()
    gate.open()
    await says(uploadRow(page, 'film.mp4'), 'Complete')
    const underPointer = await names()
    await page.mouse.move(0, 0)

    await expect.poll(names).toEqual(['clash.txt', 'notes.txt', 'film.mp4'])
    expect(whileRunning).toEqual(['film.mp4', 'clash.txt', 'notes.txt'])
    expect(underPointer).toEqual(whileRunning)
  })

  test('shortens a long name in its middle', async () => {
    const file = path.join(await newFolder(), LONG)
    await writeFile(file, 'film')
    const page = await openPage(server.origin)
    await page.setViewportSize({ width: 320, height: 640 })

    await choose(page, file)
    await says(uploadRow(page, LONG), 'Complete')

    const name = uploadRow(page, LONG).locator('bdi')
    expect(await name.textContent()).toBe(LONG)
    expect(await name.getAttribute('title')).toBe(LONG)
    const [start, end] = await Promise.all([
      name.locator('span').first().boundingBox(),
      name.locator('span').last().boundingBox(),
    ])
    expect([start?.y, (end?.x ?? 0) + (end?.width ?? 0) < 320]).toEqual([end?.y, true])
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320)
  })

  test('does not delete a file that has changed since it was shown', async () => {
    await fetch(`${server.origin}/files/notes.txt`, { method: 'PUT', body: 'old' })
    const page = await openPage(server.origin)
    await press(fileRow(page, 'notes.txt'), 'Delete…')
    await page.route('**/list', async (route) => route.abort())
    await fetch(`${server.origin}/files/notes.txt`, { method: 'PUT', body: 'a newer one' })

    await press(fileRow(page, 'notes.txt'), 'Delete')
    await says(fileRow(page, 'notes.txt'), 'The file on the server has changed since it was listed')

    expect(await (await fetch(`${server.origin}/files/notes.txt`)).text()).toBe('a newer one')
  })
})
