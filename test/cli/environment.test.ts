/** The variables `PARTIAL_UPLOAD_URL` and `PARTIAL_UPLOAD_TOKEN`. */
import { writeFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { parseCommand } from '../../src/cli/arguments.ts'
import { useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const BASE = 'https://ann:pw@example.org/files'
const TOKEN = { PARTIAL_UPLOAD_TOKEN: 'secret' }

/** The URL that a command line leads to. */
function urlOf(...args: readonly string[]): string {
  const command = parseCommand(args, { PARTIAL_UPLOAD_URL: BASE })
  return 'url' in command ? command.url.href : ''
}

describe('PARTIAL_UPLOAD_URL', () => {
  test('is the folder of names, which are encoded', () => {
    expect(urlOf('get', 'a b#%.txt')).toBe('https://example.org/files/a%20b%23%25.txt')
    expect(urlOf('ls', 'photos/summer/')).toBe('https://example.org/files/photos/summer/')
    expect(urlOf('ls')).toBe('https://example.org/files/')
  })

  test('does not change a URL', () => {
    expect(urlOf('get', 'http://a/b%20c')).toBe('http://a/b%20c')
  })

  test('is where put sends files, unless its last word is a URL', () => {
    const environment = { PARTIAL_UPLOAD_URL: BASE }

    expect(parseCommand(['put', 'a', 'b'], environment)).toMatchObject({
      files: ['a', 'b'],
      url: new URL('https://example.org/files/'),
      headers: { authorization: `Basic ${btoa('ann:pw')}` },
    })
    expect(parseCommand(['put', 'a', 'http://b/'], environment)).toMatchObject({ files: ['a'] })
  })

  test.each(['../a', 'a/./b', '..'])('is not left by the name %s', (name) => {
    expect(() => urlOf('rm', name)).toThrow('has a part "." or ".."')
  })

  test('is not the resource of an empty name', () => {
    expect(() => urlOf('rm', '')).toThrow('the argument URL is empty')
  })

  test('must be a URL', () => {
    expect(() => parseCommand(['ls'], { PARTIAL_UPLOAD_URL: 'files' })).toThrow(
      'PARTIAL_UPLOAD_URL is not a URL',
    )
  })
})

describe('PARTIAL_UPLOAD_TOKEN', () => {
  test('is sent to any server if no other is named', () => {
    expect(parseCommand(['get', 'http://b/c'], TOKEN)).toMatchObject({
      headers: { authorization: 'Bearer secret' },
    })
  })

  test('is sent only to the server of PARTIAL_UPLOAD_URL', () => {
    const environment = { ...TOKEN, PARTIAL_UPLOAD_URL: 'http://a/files/' }

    expect(parseCommand(['get', 'c'], environment)).toMatchObject({
      headers: { authorization: 'Bearer secret' },
    })
    expect(parseCommand(['get', 'http://b/c'], environment)).toHaveProperty('headers', {})
  })
})

describe('a command with both variables', () => {
  const line = useCommandLine()
  const bench = useBench()

  test('uploads to the folder with the token', async () => {
    writeFileSync(line.at('a.bin'), 'abc')
    line.environment = { ...TOKEN, PARTIAL_UPLOAD_URL: new URL('.', bench.url).href }

    const { code, out } = await line.run('put', 'a.bin')

    expect([code, out]).toEqual([0, expect.stringContaining(`, at ${bench.url}\n`)])
    expect(bench.proxy.seen[0]?.headers.authorization).toBe('Bearer secret')
  })
})
