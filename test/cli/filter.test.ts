import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'

import { fsStorage } from 'partial-upload/storage/fs'
import { beforeEach, describe, expect, test } from 'vitest'

import { isChosen } from '../../src/cli/filter.ts'
import { useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

describe('a pattern', () => {
  test.each([
    ['*.jpg', 'photos/a.jpg', true],
    ['*.jpg', 'photos/.a.jpg', true],
    ['*.jpg', 'photos/a.jpg.txt', false],
    ['photos', 'x/photos/a.jpg', true],
    ['photos/*', 'photos/a.jpg', true],
    ['photos/*', 'photos/summer/a.jpg', true],
    ['photos/*.jpg', 'photos/summer/a.jpg', false],
    ['photos/**/*.jpg', 'photos/a.jpg', true],
    ['photos/**/*.jpg', 'photos/x/y/a.jpg', true],
    ['photos/**', 'photos/x/y/a.jpg', true],
    ['**/x', 'photos/x', true],
    ['/photos/', 'photos/a.jpg', true],
    ['photos/a', 'x/photos/a', false],
    ['a?c', 'abc', true],
    ['a.c', 'abc', false],
  ])('%s matches %s: %s', (pattern, file, expected) => {
    expect(isChosen({ include: [pattern], exclude: [] }, file)).toBe(expected)
    expect(isChosen({ include: [], exclude: [pattern] }, file)).toBe(!expected)
  })

  test('in --exclude takes precedence over one in --include', () => {
    expect(isChosen({ include: ['*.jpg'], exclude: ['a.*'] }, 'a.jpg')).toBe(false)
  })
})

describe('put', () => {
  const line = useCommandLine()
  const bench = useBench()

  beforeEach(async () => {
    await bench.store(() => fsStorage({ directory: line.at('uploads') }))
    mkdirSync(line.at('site/node_modules'), { recursive: true })
    for (const name of ['a.html', 'b.css', 'c.html', 'node_modules/d.html']) {
      writeFileSync(line.at('site', name), name)
    }
  })

  test('sends only the files that the patterns choose', async () => {
    const filters = ['--include', '*.html', '--exclude', 'node_modules', '--exclude', 'site/c.*']

    const { code } = await line.run('put', ...filters, 'site', new URL('./', bench.url).href)

    expect([code, readdirSync(line.at('uploads/site'))]).toEqual([0, ['a.html']])
  })

  test('fails if the patterns choose no file', async () => {
    const { code, err } = await line.run(
      ...['put', '--include', '*.gif', 'site', new URL('./', bench.url).href],
    )

    expect([code, err]).toEqual([1, 'partial-upload: site: no file matches the patterns\n'])
  })
})
