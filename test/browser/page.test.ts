import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { describeInChromium, newContext } from '../support/browser/chromium.ts'
import { throttle } from '../support/browser/client-page.ts'
import { Gate } from '../support/browser/gate.ts'
import {
  IN_FLIGHT,
  choose,
  chooseAndHold,
  fileRow,
  hashOf,
  openPage,
  press,
  reloadWhileHeld,
  says,
  sharedServer,
  uploadRow,
  writeRandom,
} from '../support/browser/page-setup.ts'

/** Several times what may be under way. */
const SIZE = 80_000_000
/** Position at which an upload is stopped, in bytes. */
const MIDDLE = 32_000_000

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

describeInChromium('an upload by the page', () => {
  const server = sharedServer()
  let folder: string
  let film: string
  let hash: string

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'partial-upload-film-'))
    film = await writeRandom(folder, 'film.mp4', SIZE)
    hash = await hashOf(film)
  }, 60_000)

  afterAll(() => rmSync(folder, { recursive: true }))

  test('sends nothing while it is paused, and resumes where it stopped', async () => {
    const gate = await Gate.to(server.port)
    const page = await openPage(gate.origin)
    const row = uploadRow(page, 'film.mp4')

    await chooseAndHold(page, film, gate, MIDDLE)
    await press(row, 'Pause')
    await says(row, 'Paused')
    gate.open()
    const [listed] = await server.list()
    const passed = gate.passed
    await press(row, 'Resume')
    await says(row, 'Complete · 80 MB')

    expect(listed?.size).toBeGreaterThan(MIDDLE - IN_FLIGHT)
    expect(listed?.size).toBeLessThan(MIDDLE + IN_FLIGHT)
    expect(passed).toBeLessThan(MIDDLE + IN_FLIGHT)
    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('resumes by itself when the server was killed and is back', async () => {
    const gate = await Gate.to(server.port)
    const page = await openPage(gate.origin)
    const row = uploadRow(page, 'film.mp4')

    await chooseAndHold(page, film, gate, MIDDLE)
    await server.kill()
    gate.open()
    await says(row, 'The connection is broken')
    await page.locator('.outage').waitFor()
    await server.start()
    await says(row, 'Complete · 80 MB')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('waits for the network, and resumes by itself', async () => {
    const gate = await Gate.to(server.port)
    const context = await newContext()
    const page = await openPage(gate.origin, context)
    const row = uploadRow(page, 'film.mp4')

    await chooseAndHold(page, film, gate, MIDDLE)
    await context.setOffline(true)
    gate.cut()
    await says(row, 'Waiting for the network')
    gate.reconnect()
    gate.open()
    await context.setOffline(false)
    await says(row, 'Complete · 80 MB')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('resumes after a reload when the same file is chosen again', async () => {
    const gate = await Gate.to(server.port)
    const page = await openPage(gate.origin)

    await chooseAndHold(page, film, gate, MIDDLE)
    await reloadWhileHeld(page, gate)
    await says(fileRow(page, 'film.mp4'), '% arrived')
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      press(fileRow(page, 'film.mp4'), 'Choose again'),
    ])
    await chooser.setFiles(film)
    await says(uploadRow(page, 'film.mp4'), 'Complete · 80 MB')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  /** Sends the film from one tab, and from another one that has to wait. */
  async function meetInTwoTabs(): Promise<Record<'first' | 'second', Page> & { gate: Gate }> {
    const gate = await Gate.to(server.port)
    const context = await newContext()
    const first = await openPage(gate.origin, context)
    const second = await openPage(gate.origin, context)
    await chooseAndHold(first, film, gate, MIDDLE)
    await choose(second, film)
    await says(uploadRow(second, 'film.mp4'), 'Another tab is sending this file')
    return { gate, first, second }
  }

  test('runs in only one of two tabs that send the same file', async () => {
    const { gate, first, second } = await meetInTwoTabs()

    gate.open()
    await says(uploadRow(first, 'film.mp4'), 'Complete · 80 MB')
    await says(uploadRow(second, 'film.mp4'), 'finished by another upload')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('is taken over by another tab when its own is closed', async () => {
    const { gate, first, second } = await meetInTwoTabs()

    await first.close()
    gate.open()
    await says(uploadRow(second, 'film.mp4'), 'Complete · 80 MB')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('from two browsers at once ends in one file', async () => {
    const gate = await Gate.to(server.port)
    const [first, second] = [await openPage(gate.origin), await openPage(gate.origin)]
    await throttle(first, 4_000_000)

    const begun = gate.passes(1_000_000)
    await choose(first, film)
    await begun
    await choose(second, film)
    await says(uploadRow(second, 'film.mp4'), 'Another client is sending this file')
    await throttle(first, -1)
    await says(uploadRow(first, 'film.mp4'), 'Complete · 80 MB')
    await says(uploadRow(second, 'film.mp4'), 'finished by another upload')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })

  test('is taken over by another browser when it stalls', async () => {
    const gate = await Gate.to(server.port)
    const [first, second] = [await openPage(gate.origin), await openPage(gate.origin)]

    await chooseAndHold(first, film, gate, MIDDLE)
    await choose(second, film)
    await says(uploadRow(second, 'film.mp4'), 'Complete · 80 MB')
    gate.open()
    await says(uploadRow(first, 'film.mp4'), 'Complete · 80 MB')

    expect(gate.passed).toBeLessThan(SIZE + IN_FLIGHT)
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(hash)
  })
})
