import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

import type { AxeResults, RunOptions } from 'axe-core'
import type { Page } from 'playwright-core'
import { expect, test, vi } from 'vitest'

import { describeInChromium } from '../support/browser/chromium.ts'
import type { Gate } from '../support/browser/gate.ts'
import {
  IN_FLIGHT,
  choose,
  chooseAndHold,
  fileRow,
  listen,
  newFolder,
  openByGate,
  press,
  says,
  sharedServer,
  uploadRow,
  writeRandom,
} from '../support/browser/page-setup.ts'

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** All rules of WCAG 2.2 AA that a program can check, and the best practices of axe. */
const RULES: RunOptions = {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  resultTypes: ['violations', 'incomplete'],
}

const LOOKS = [
  ['light', 1280],
  ['dark', 1280],
  ['light', 320],
  ['dark', 375],
] as const

// A browser, a server and a test share the processor with the other tests.
vi.setConfig({ testTimeout: 120_000 })

describeInChromium('the page with assistive technology', () => {
  const server = sharedServer()

  /** Writes what is on the server, and another file of the same name. */
  async function clash(name: string): Promise<string> {
    await writeFile(server.pathOf(name), `the old ${name}`)
    return write(name, `new ${name}`)
  }

  async function write(name: string, content: string): Promise<string> {
    const file = path.join(await newFolder(), name)
    await writeFile(file, content)
    return file
  }

  /** Chooses a file, and stops its upload in the middle. */
  async function begin(page: Page, gate: Gate, name: string): Promise<void> {
    const file = await writeRandom(await newFolder(), name, 2 * IN_FLIGHT)
    await chooseAndHold(page, file, gate, 5_000_000)
  }

  const states: readonly (readonly [string, (page: Page, gate: Gate) => Promise<void>])[] = [
    ['nothing is there', async (page) => page.getByText('No files yet.').waitFor()],
    [
      'files are under way, wait and are dragged',
      async (page, gate) => {
        await begin(page, gate, 'film.mp4')
        await choose(page, await write('film.mp4', 'another film'))
        await says(
          uploadRow(page, 'film.mp4').nth(1),
          'Another file of this name is uploaded first',
        )
        await page.evaluate('document.body.classList.add("dragging")')
      },
    ],
    [
      'an upload is paused, and another one cancelled',
      async (page, gate) => {
        await begin(page, gate, 'film.mp4')
        await press(uploadRow(page, 'film.mp4'), 'Pause')
        await begin(page, gate, 'talk.mp4')
        await expect.poll(() => server.list()).toHaveLength(2)
        await press(uploadRow(page, 'talk.mp4'), 'Cancel')
        gate.open()
        await says(uploadRow(page, 'talk.mp4'), 'Keep this part to resume later?')
      },
    ],
    [
      'the server is out of reach',
      async (page, gate) => {
        await begin(page, gate, 'film.mp4')
        gate.cut()
        await says(uploadRow(page, 'film.mp4'), 'The connection is broken')
        await page.locator('.outage').waitFor()
      },
    ],
    [
      'names are taken, and a file is refused',
      async (page) => {
        await fetch(`${server.origin}/files/trip/1.jpg`, { method: 'PUT', body: '1' })
        const names = ['1.txt', '2.txt']
        const files = await Promise.all(names.map(clash))
        await choose(page, ...files, await write('trip', 'c'))
        for (const name of names) await says(uploadRow(page, name), 'a different file of this name')
        await says(uploadRow(page, 'trip'), 'has a folder named trip')
      },
    ],
    [
      'files are complete, one of them from before',
      async (page) => {
        const file = await write('there', 'there')
        await writeFile(server.pathOf('there'), 'there')
        await choose(page, file, await write('new', 'new'))
        await says(uploadRow(page, 'new'), 'Complete')
        await says(uploadRow(page, 'there'), 'The server already has this file')
      },
    ],
    [
      'the server has many files, a part of one, and one to be deleted',
      async (page) => {
        for (let file = 0; file < 30; file += 1) await writeFile(server.pathOf(`${file}`), 'a')
        await fetch(`${server.origin}/files/part`, {
          method: 'PATCH',
          headers: { 'Content-Type': 'message/byteranges' },
          body: 'Content-Range: bytes 0-4/10\r\n\r\nhello',
        })
        await press(fileRow(page, 'part'), 'Delete…')
        await press(page.locator('#files li').nth(3), 'Delete…')
      },
    ],
    [
      'some of the files that a search has found are about to be deleted',
      async (page) => {
        for (const name of ['1.jpg', '2.txt', '3.txt']) await writeFile(server.pathOf(name), 'a')
        await page.getByLabel('Search files').fill('txt')
        await page.getByLabel('Select 2.txt').check()
        await page.locator('.selected').getByRole('button', { name: 'Delete…' }).click()
      },
    ],
  ]

  test.each(states)('meets WCAG 2.2 when %s, in both themes, wide and narrow', async (_, reach) => {
    const { page, gate } = await openByGate(server)
    await page.evaluate(AXE)

    await reach(page, gate)
    const found: string[] = []
    for (const [colorScheme, width] of LOOKS) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 800 })
      for (const problem of await check(page)) found.push(`${colorScheme} ${width}: ${problem}`)
    }

    expect(found).toEqual([])
  })

  test('gives a screen reader the place and the progress of each upload', async () => {
    const { page, gate } = await openByGate(server)
    await writeFile(server.pathOf('notes.txt'), 'hello')

    await begin(page, gate, 'film.mp4')
    const shown = () => uploadRow(page, 'film.mp4').locator('progress').getAttribute('value')
    await expect.poll(async () => Number(await shown())).toBeGreaterThan(0)
    await press(uploadRow(page, 'film.mp4'), 'Pause')
    await says(uploadRow(page, 'film.mp4'), 'Paused')
    await fileRow(page, 'notes.txt').waitFor()
    await page.getByRole('status').filter({ hasText: 'added' }).waitFor()
    const outline = await page.locator('body').ariaSnapshot()
    const session = await page.context().newCDPSession(page)
    const { nodes } = await session.send('Accessibility.getFullAXTree')

    const [, percent] = /Paused · (\d+)%/.exec(outline) ?? []
    const [bar] = nodes.filter(({ role }) => role?.value === 'progressbar')
    const lively = nodes.filter(({ properties }) => properties?.some(({ name }) => name === 'live'))
    expect(outline.replace(/today.*|http.*|\d+% · .*/g, '…')).toBe(OUTLINE)
    expect(`${Math.floor(Number(bar?.value?.value) * 100)}`).toBe(percent)
    expect(lively.map(({ role }): unknown => role?.value)).toEqual(['status'])
  })

  test('announces each event once, and progress only on request', async () => {
    const { page, gate } = await openByGate(server)
    const spoken = await listen(page)

    await begin(page, gate, 'film.mp4')
    gate.cut()
    await page.locator('.outage').waitFor()
    const heldAgain = gate.holdAfter(1_000_000)
    gate.reconnect()
    await page.locator('.outage').waitFor({ state: 'hidden' })
    await heldAgain
    gate.open()
    await says(uploadRow(page, 'film.mp4'), 'Complete')

    const all = async (): Promise<string> => (await spoken()).join(' ')
    await expect.poll(all, { timeout: 10_000 }).toMatch(/is complete\.$/)
    expect(await all()).toBe(
      '1 file added. The server can not be reached. The server answers again. film.mp4 is complete.',
    )
  })
})

/**
 * The page as a screen reader announces it. The text of a label is that of its button, repeated.
 */
const OUTLINE = `\
- main:
  - heading "partial-upload" [level=1]
  - paragraph: Uploads that survive a broken connection
  - region "Add files":
    - paragraph: Drop or paste files or folders anywhere on this page
    - button "Choose files"
    - text: Choose files
    - button "Choose a folder"
    - text: Choose a folder
    - paragraph: "After a broken connection, uploads resume by themselves. If you close the page, choose the same files again: they resume where they stopped."
  - region "Uploads":
    - heading "Uploads" [level=2]
    - list:
      - listitem:
        - paragraph: film.mp4
        - button "Resume film.mp4": Resume
        - button "Cancel film.mp4": Cancel
        - progressbar "Progress of film.mp4"
        - paragraph: Paused · …
  - region "On the server":
    - heading "On the server" [level=2]
    - paragraph: 1 file · 5 bytes
    - list:
      - listitem:
        - checkbox "Select notes.txt"
        - paragraph:
          - link "notes.txt":
            - /url: …
        - button "Delete… notes.txt": Delete…
        - paragraph: 5 bytes · …
- status: 1 file added.`

/** Returns the violations that axe finds on the page as it is now. */
async function check(page: Page): Promise<readonly string[]> {
  const run = `axe.run(document, ${JSON.stringify(RULES)})`
  const { violations, incomplete } = await page.evaluate<AxeResults>(run)
  return [...violations, ...incomplete].flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${String(target)} ${failureSummary}`),
  )
}
