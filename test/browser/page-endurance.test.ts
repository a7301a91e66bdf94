/**
 * One upload through kills, an outage and a reload. `BROWSER_BYTES=500000000 OUTAGE=60000` repeat
 * the run that the README describes, and print its time and bytes.
 */
import { setTimeout as wait } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { describeInChromium, newContext } from '../support/browser/chromium.ts'
import { Gate } from '../support/browser/gate.ts'
import {
  IN_FLIGHT,
  choose,
  fileRow,
  hashOf,
  newFolder,
  openPage,
  reloadWhileHeld,
  says,
  sharedServer,
  uploadRow,
  writeRandom,
} from '../support/browser/page-setup.ts'

const SIZE = Number(process.env['BROWSER_BYTES'] ?? 100_000_000)
/** Time without a network, in milliseconds. */
const OUTAGE = Number(process.env['OUTAGE'] ?? 1000)

describeInChromium('one upload', () => {
  const server = sharedServer()

  test('survives three kills of the server, an outage of the network and a reload', async () => {
    const film = await writeRandom(await newFolder(), 'film.mp4', SIZE)
    const gate = await Gate.to(server.port)
    const context = await newContext()
    const page = await openPage(gate.origin, context)
    const row = uploadRow(page, 'film.mp4')
    const begun = performance.now()

    let held = gate.holdAfter(SIZE / 8)
    await choose(page, film)
    for (let kills = 0; kills < 3; kills += 1) {
      await held
      held = gate.holdAfter(SIZE / 8)
      await server.kill()
      gate.open()
      await server.start()
    }
    await held
    await context.setOffline(true)
    gate.cut()
    await says(row, 'Waiting for the network')
    await wait(OUTAGE)
    held = gate.holdAfter(SIZE / 8)
    gate.reconnect()
    await context.setOffline(false)
    await held
    await reloadWhileHeld(page, gate)
    await says(fileRow(page, 'film.mp4'), '% arrived')
    await choose(page, film)
    await says(row, 'Complete', 300_000)

    const twice = gate.passed - SIZE
    if (SIZE >= 500_000_000) {
      const seconds = ((performance.now() - begun) / 1000).toFixed(1)
      console.log(`${SIZE} bytes in ${seconds} s; ${twice} more than that went to the server`)
    }
    expect(await hashOf(server.pathOf('film.mp4'))).toBe(await hashOf(film))
    expect(twice).toBeLessThan(5 * IN_FLIGHT)
  }, 600_000)
})
