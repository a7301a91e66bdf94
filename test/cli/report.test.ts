import { PassThrough } from 'node:stream'

import xterm from '@xterm/headless'
import { describe, expect, test } from 'vitest'

import { formatSize, formatTime, printable } from '../../src/cli/format.ts'
import { createLiveReport } from '../../src/cli/live-report.ts'
import { formatProgress } from '../../src/cli/events.ts'
import { createPlainReport } from '../../src/cli/report.ts'

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [1000, '1.0 kB'],
  [9949, '9.9 kB'],
  [9950, '10 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [100_000_000, '100 MB'],
  [2 ** 53 - 1, '9.0 PB'],
])('%i bytes are %s', (size, text) => {
  expect(formatSize(size)).toBe(text)
})

test.each([
  [0.4, '0:00'],
  [59.6, '1:00'],
  [754, '12:34'],
  [3723, '1:02:03'],
])('%f seconds are %s', (seconds, text) => {
  expect(formatTime(seconds)).toBe(text)
})

test.each([
  [{ sent: 45, size: 100, rate: 5 }, '45% of 100 bytes, 5 bytes/s, 0:11 left'],
  [{ sent: 45, size: 100, rate: null }, '45% of 100 bytes'],
  [{ sent: 45, size: 100, rate: -1 }, '45% of 100 bytes, 0 bytes/s'],
  [{ sent: 45, size: null, rate: 5 }, '45 bytes, 5 bytes/s'],
  [{ sent: 0, size: 0, rate: null }, '0 bytes'],
])('progress %j is %s', (progress, text) => {
  expect(formatProgress(progress)).toBe(text)
})

test('text that could steer a terminal, or add a line, is replaced', () => {
  expect(printable('a\u001b[2Jb\nc\u009b\u202ed\u2028e\u061cf')).toBe('a�[2Jb�c��d�e�f')
})

describe('a live report', () => {
  test('draws running transfers in place, and leaves finished ones above', async () => {
    const { report, screen } = terminal()

    const first = report.begin('a')
    const second = report.begin(`long/${'x'.repeat(40)}`)
    first.move({ sent: 50, size: 100, rate: null })
    second.note('trying again')

    const a = `${'a'.padEnd(28)} [##########----------] 50% of 100 bytes`
    const x = `…${'x'.repeat(26)}`
    expect(await screen()).toEqual([a, `${x} trying again`])

    first.end('complete')
    expect(await screen()).toEqual(['a: complete', `${x} trying again`])

    report.error('failed')
    report.print('said')
    expect(await screen()).toEqual(['a: complete', 'failed', 'said', `${x} trying again`])

    second.end(null)
    expect(await screen()).toEqual(['a: complete', 'failed', 'said'])
  })

  test('draws each line once, however narrow the terminal and wide its letters', async () => {
    const { report, screen } = terminal({ columns: 20 })

    const task = report.begin('電影.mkv')
    for (const text of ['one', 'two', 'three']) task.note(text)
    const running = (await screen()).join('')
    task.end('complete')

    expect(running.match(/…\.mkv|電影/g)).toHaveLength(1)
    expect(running).toMatch(/three$/)
    expect(await screen()).toEqual(['電影.mkv: complete'])
  })

  test.each([20, 40, 72, 80, 200])('draws one row per transfer in %i columns', async (columns) => {
    const { report, screen } = terminal({ columns })
    const names = ['電影/第一部.mkv', 'x'.repeat(300), '👩‍👩‍👧.jpg', 'e\u0301te\u0301.txt', 'a']

    const tasks = names.map((name) => report.begin(name))
    for (const sent of [0, 50, 100]) {
      for (const task of tasks) task.note('y'.repeat(300))
      for (const task of tasks) task.move({ sent, size: 100, rate: 5 })
      report.error(`at ${sent}`)
    }
    const drawn = await screen()
    for (const task of tasks) task.end(null)

    expect(drawn).toHaveLength(names.length + 3)
    expect(await screen()).toEqual(['at 0', 'at 50', 'at 100'])
  })

  test('erases its lines after the terminal has become narrower', async () => {
    const { report, screen, resize } = terminal({ columns: 80 })

    const task = report.begin('film.mp4')
    task.move({ sent: 50, size: 100, rate: 5 })
    resize(40)
    task.note('trying again')
    task.end('complete')

    expect(await screen()).toEqual(['film.mp4: complete'])
  })

  test('draws no more lines than the terminal has', async () => {
    const { report, screen } = terminal({ rows: 5 })

    const tasks = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => report.begin(name))
    for (const task of tasks) task.note('waits')
    const running = await screen()
    report.print('done')
    for (const task of tasks) task.end(null)

    expect(running.map((line) => line.split(/ +/).join(' '))).toEqual([
      ...['a waits', 'b waits', 'c waits', 'and 5 more'],
    ])
    expect(await screen()).toEqual(['done'])
  })
})

test('a quiet report prints nothing about transfers, only the requested output', () => {
  let out = ''
  const report = createPlainReport({ write: (text) => (out += text) }, { write: String }, true)

  const task = report.begin('a')
  task.note('n')
  task.move({ sent: 1, size: 2, rate: 3 })
  task.end('e')
  report.print('asked for')

  expect(out).toBe('asked for\n')
})

/** A report on the screen of a real terminal's emulator. */
function terminal({ columns = 80, rows = 24 } = {}) {
  const emulator = new xterm.Terminal({
    cols: columns,
    rows,
    convertEol: true,
    allowProposedApi: true,
  })
  const out = Object.assign(new PassThrough(), { isTTY: true, columns, rows })
  out.on('data', (data: Buffer) => emulator.write(data))

  /** The lines of the screen and of its scrollback, without the empty ones. */
  async function screen(): Promise<string[]> {
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise<void>((resolve) => emulator.write('', resolve))
    const { active } = emulator.buffer
    return Array.from({ length: active.length }, (_, row) =>
      active.getLine(row)?.translateToString(true),
    ).flatMap((line) => line || [])
  }

  function resize(width: number): void {
    emulator.resize(width, rows)
    out.columns = width
  }

  return { report: createLiveReport(out, out), screen, resize }
}
