/** What `--dry-run` prints, and that it changes nothing. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

import { beforeEach, describe, expect, test } from 'vitest'

import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const FILE = pattern(MiB)

const line = useCommandLine()
const bench = useBench()

beforeEach(() => writeFileSync(line.at('a'), FILE))

/** The methods of the requests that the server has received. */
function methods(): readonly string[] {
  return [...new Set(bench.proxy.seen.map(({ method }) => method))]
}

async function store(bytes: Buffer): Promise<void> {
  await fetch(bench.direct, { method: 'PUT', body: bytes })
}

describe('put --dry-run', () => {
  const other = Buffer.from(FILE).fill(1, MiB / 2)

  test.each([
    ['an absent file', async () => undefined, [], 0, 'would be uploaded, 1.0 MB, to URL'],
    ['the same file', async () => store(FILE), [], 0, 'would be skipped (same), at URL'],
    ['another file of the same size', async () => store(other), [], 3, 'would be refused, because'],
    ['a longer file', async () => store(Buffer.concat([FILE, FILE])), [], 3, 'would be refused'],
    [
      'another file, with --overwrite',
      async () => store(other),
      ['--overwrite'],
      0,
      'would replace a different file, 1.0 MB, at URL',
    ],
    [
      'the beginning of the file',
      async () => bench.storePrefix(FILE, MiB / 2),
      [],
      0,
      'would be resumed at 524 kB, 1.0 MB, to URL',
    ],
    [
      'the beginning of another file',
      async () => bench.storePrefix(Buffer.alloc(MiB, 1), MiB / 2),
      [],
      3,
      'would be refused',
    ],
  ])('finds %s', async (_what, prepare, options, exitCode, words) => {
    await prepare()
    const before = await bench.state()

    const { code, out } = await line.run('put', '-n', ...options, 'a', bench.url)

    expect([code, out.replace(bench.url, 'URL')]).toEqual([
      exitCode,
      expect.stringMatching(`^a: ${words.replace(/[()]/g, '\\$&')}`),
    ])
    expect(await bench.state()).toBe(before)
    expect(methods().filter((method) => method !== 'HEAD' && method !== 'GET')).toEqual([])
  })

  test('does not read the standard input', async () => {
    const { code, err } = await line.runWith('a', 'put', '-n', '-', bench.url)

    expect([code, err]).toEqual([2, expect.stringContaining('can not read the standard input')])
  })
})

describe('get --dry-run', () => {
  test('writes no file, and prints what it would do with the existing one', async () => {
    await store(FILE)
    writeFileSync(line.at('b'), 'other')

    const fresh = await line.run('get', '--dry-run', bench.url, 'c')
    const same = await line.run('get', '--dry-run', bench.url, 'a')
    const refused = await line.run('get', '--dry-run', bench.url, 'b')
    const replaced = await line.run('get', '--dry-run', '--overwrite', bench.url, 'b')

    expect([fresh.code, fresh.out]).toEqual([
      0,
      `c: would be downloaded, 1.0 MB, from ${bench.url}\n`,
    ])
    expect([same.code, same.out]).toEqual([0, `a: would be skipped (same), at ${bench.url}\n`])
    expect([refused.code, replaced.code]).toEqual([3, 0])
    expect(replaced.out).toMatch(/^b: would replace a different file/)
    expect([existsSync(line.at('c')), existsSync(line.at('c.part'))]).toEqual([false, false])
    expect(readFileSync(line.at('b'), 'utf8')).toBe('other')
    expect(methods()).toEqual(['HEAD'])
  })

  test('fails where no finished file exists', async () => {
    const absent = await line.run('get', '-n', bench.url, 'c')
    await bench.storePrefix(FILE, 10)
    const incomplete = await line.run('get', '-n', bench.url, 'c')

    expect([absent.code, incomplete.code]).toEqual([1, 1])
    expect(incomplete.err).toContain('not complete yet')
  })
})

test('rm --dry-run removes nothing', async () => {
  await store(Buffer.from('abc'))

  const { code, out } = await line.run('rm', '-n', bench.url, `${bench.url}2`)

  expect([code, out]).toEqual([
    0,
    `${bench.url}: would be removed, 3 bytes\n${bench.url}2: nothing to remove\n`,
  ])
  expect(await bench.state()).toBe('C(3)')
})
