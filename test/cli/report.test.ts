import { describe, expect, test } from 'vitest'

import { formatSize, formatTime, printable } from '../../src/cli/format.ts'
import { createLiveReport, createPlainReport, formatProgress } from '../../src/cli/report.ts'

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
  expect(printable('a\u001b[2Jb\nc\u009b\u202ed')).toBe('a�[2Jb�c��d')
})

describe('a live report', () => {
  test('draws running transfers in place, and leaves what is over above', () => {
    let out = ''
    const terminal = { write: (text: string) => (out += text) }
    const report = createLiveReport(terminal, terminal)

    const first = report.begin('a')
    const second = report.begin(`long/${'x'.repeat(40)}`)
    first.move({ sent: 50, size: 100, rate: null })
    second.note('trying again')
    first.end('complete')
    report.error('failed')
    second.end(null)

    const a = `${'a'.padEnd(28)} [##########----------] 50% of 100 bytes`
    const x = `…${'x'.repeat(27)}`
    expect(out.replaceAll('\u001b', '^')).toBe(
      `^[?7l${a}\n${x}\n^[?7h`
        .concat(`^[2A^[J^[?7l${a}\n${x} trying again\n^[?7h`)
        .concat(`^[2A^[Ja: complete\n^[?7l${x} trying again\n^[?7h`)
        .concat(`^[1A^[Jfailed\n^[?7l${x} trying again\n^[?7h`)
        .concat('^[1A^[J^[?7l^[?7h'),
    )
  })

  test('draws no more lines than the terminal has', () => {
    let out = ''
    const report = createLiveReport({ write: (text) => (out += text), rows: 3 }, { write: String })

    for (const name of ['a', 'b', 'c', 'd']) report.begin(name)
    report.print('done')

    expect(out.split('\n').length).toBe(4)
  })
})

test('a plain report is silent about transfers if told so, not about what was asked for', () => {
  let out = ''
  const report = createPlainReport({ write: (text) => (out += text) }, { write: String }, true)

  const task = report.begin('a')
  task.note('n')
  task.move({ sent: 1, size: 2, rate: 3 })
  task.end('e')
  report.print('asked for')

  expect(out).toBe('asked for\n')
})
