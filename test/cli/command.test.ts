import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { beforeEach, describe, expect, test } from 'vitest'

import { parseCommand } from '../../src/cli/arguments.ts'
import { COMMANDS } from '../../src/cli/help.ts'
import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { root, useCommandLine } from '../support/cli/setup.ts'

const URL = 'http://127.0.0.1/a'

const line = useCommandLine()
const bench = useBench()

describe('usage', () => {
  test('--help shows examples and the exit codes', async () => {
    const { code, out, err } = await line.run('--help')

    expect([code, err]).toEqual([0, ''])
    for (const word of [...COMMANDS, 'Examples:', 'Exit codes:']) expect(out).toContain(word)
  })

  test.each(COMMANDS)('%s --help shows examples', async (name) => {
    const { code, out } = await line.run(name, '--help')

    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`^partial-upload ${name} [^]*\nExamples:\n  [^]*\nOptions:`))
  })

  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      version: string
    }

    expect(await line.run('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  test('wrong arguments exit with code 2 and one line about them', async () => {
    expect(await line.run('send', 'a', URL)).toEqual({
      code: 2,
      out: '',
      err: 'partial-upload: there is no command "send"\nSee partial-upload --help.\n',
    })
    expect(await line.run('put', 'a')).toEqual({
      code: 2,
      out: '',
      err: 'partial-upload: put needs FILE... and URL\nSee partial-upload put --help.\n',
    })
  })

  test('no arguments exit with code 2 and the help', async () => {
    const { out } = await line.run('-h')

    expect(await line.run()).toEqual({ code: 2, out: '', err: out })
  })

  test('help can be asked for in several ways', async () => {
    const { out } = await line.run('put', '--help')

    for (const args of [
      ['put', '-h'],
      ['help', 'put'],
      ['--help', 'put'],
    ]) {
      expect(await line.run(...args)).toEqual({ code: 0, out, err: '' })
    }
    expect((await line.run('help')).out).toContain('Exit codes:')
  })

  test.each([
    [[], 'expected a command'],
    [['put', URL], 'put needs FILE... and URL'],
    [['put', 'a', 'b'], '"b" is not a URL that begins with http:// or https://'],
    [['put', 'a', 'ftp://b/'], '"ftp://b/" is not a URL that begins with http:// or https://'],
    [['put', '--at', '1', 'a', URL], 'put has no option --at'],
    [['put', '--concurrency', '0', 'a', URL], '--concurrency must be a whole number, 1 or more'],
    [['put', '--retries', '1.5', 'a', URL], '--retries must be a whole number, 0 or more'],
    [['put', '--nothing', 'a', URL], /^Unknown option '--nothing'$/],
    [['put', '--concurrency', '-1', 'a', URL], '--concurrency'],
    [['put', '-H', 'a b: c', 'a', URL], '-H needs "Name: value"'],
    [['put', '-H', 'a', 'a', URL], '-H needs "Name: value", and one field has no colon'],
    [['put', '-H', ': a', 'a', URL], '-H needs "Name: value"'],
    [['put', '-H', 'Range: bytes=0-1', 'a', URL], 'the command sets this field itself'],
    [['get'], 'get needs URL'],
    [['get', URL, 'a', 'b'], 'unexpected argument "b"; get takes URL and FILE'],
    [['patch', URL, '--at', '1'], 'patch needs URL and FILE'],
    [['patch', URL, 'a'], 'patch needs --at N, the position of the first byte'],
    [['patch', URL, 'a', '--at', '9007199254740992'], '--at must be a whole number'],
    [['put', 'a', 'http://%zz@b/'], 'a % must be written as %25'],
    [['put', 'a', URL, '--version'], 'put has no option --version'],
    [['get', URL, '--include', 'a'], '--include needs --recursive'],
    [['get', '-r', URL, '-'], '--recursive needs a folder'],
    [['put', 'a', URL, '--include', ''], '--include and --exclude need a pattern'],
    [['put', '--limit-rate', '1000', 'a', URL], '--limit-rate must be a number of bytes, 1024 or'],
    [['put', '--limit-rate', '1X', 'a', URL], '--limit-rate must be a number of bytes'],
    [['rm', '--timeout', '-1', URL], '--timeout'],
    [['ls'], 'ls needs URL'],
    [['ls', '--list', 'http://', URL], '--list "http://" is not a URL'],
    [['completion'], 'completion needs bash'],
    [['completion', 'fish'], 'there is a completion for bash, not for "fish"'],
    [['send', '-v'], 'there is no command "send"'],
    [['get', URL, ''], 'the argument FILE is empty'],
    [['status'], 'status needs URL'],
    [['rm'], 'rm needs URL...'],
    [['rm', URL, 'b'], '"b" is not a URL that begins with http:// or https://'],
  ])('%j is refused', (args, message) => {
    expect(() => parseCommand(args)).toThrow(message)
  })

  test('-v prints the version alone, and requests after a command', async () => {
    expect(await line.run('-v')).toEqual(await line.run('--version'))
    expect(parseCommand(['rm', '-v', URL])).toMatchObject({ kind: 'rm', verbose: true })
  })

  test.each([
    ['1024', 1024],
    ['500k', 512_000],
    ['1.5M', 1_572_864],
    ['2G', 2_147_483_648],
  ])('--limit-rate %s is %i bytes per second', (text, rate) => {
    expect(parseCommand(['put', '--limit-rate', text, 'a', URL])).toMatchObject({ rate })
  })

  test('a field that is given twice has both values', () => {
    expect(parseCommand(['rm', '-H', 'A: 1', '-H', 'a: 2', URL])).toMatchObject({
      headers: { a: '1, 2' },
    })
  })

  test.each([
    [['rm', URL], 'Bearer secret'],
    [['rm', '-H', 'Authorization: Basic a', URL], 'Basic a'],
    [['rm', 'http://ann:pw@127.0.0.1/a'], `Basic ${btoa('ann:pw')}`],
  ])('%j is sent with the token of the environment, or with its own', (args, expected) => {
    expect(parseCommand(args, { PARTIAL_UPLOAD_TOKEN: 'secret' })).toMatchObject({
      headers: { authorization: expected },
    })
  })

  test('a token with a line break is refused, and not shown', () => {
    const environment = { PARTIAL_UPLOAD_TOKEN: 'sec\nret' }

    expect(() => parseCommand(['rm', URL], environment)).toThrow(
      'PARTIAL_UPLOAD_TOKEN contains characters that a header field can not have',
    )
  })
})

describe('status, patch and rm', () => {
  beforeEach(async () => bench.storePrefix(Buffer.from('abcdefghij'), 4))

  test('rm removes several files, and continues after a failure', async () => {
    bench.proxy.fail('DELETE', { kind: 'answer', status: 403 })

    const { code, out, err } = await line.run('rm', `${bench.url}1`, bench.url, `${bench.url}2`)

    expect([code, out]).toEqual([1, `${bench.url}: removed\n${bench.url}2: nothing to remove\n`])
    expect(err).toMatch(/a\.bin1: .*403/)
    expect(await bench.state()).toBe('∅')
  })

  test('print the state of a resource, change it, and remove it', async () => {
    const { code, out } = await line.run('status', bench.url)
    const written = await line.runWith('XY', 'patch', bench.url, '--at', '3', '-')
    const stored = await bench.stored()
    const removed = await line.run('rm', bench.url)
    const again = await line.run('rm', bench.url)
    const gone = await line.run('status', bench.url)

    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        /^state: incomplete\nsize: 4\nlength: 10\ntype: application\/octet-stream\netag: ".+"\n$/,
      ),
    ])
    expect([written.code, stored.toString()]).toEqual([0, 'abcXY'])
    expect(removed).toEqual({ code: 0, out: `${bench.url}: removed\n`, err: '' })
    expect(again).toEqual({ code: 0, out: `${bench.url}: nothing to remove\n`, err: '' })
    expect(gone).toEqual({
      code: 1,
      out: '',
      err: `partial-upload: there is nothing at ${bench.url}\n`,
    })
  })

  test('patch fails where no resource exists', async () => {
    writeFileSync(line.at('a'), 'XY')

    const { code, err } = await line.run('patch', `${bench.url}2`, '--at', '0', 'a')

    expect([code, err]).toEqual([1, `partial-upload: there is nothing at ${bench.url}2\n`])
  })

  test('a failure prints the title and detail of the server, in one line without a stack', async () => {
    const { code, out, err } = await line.runWith('XY', 'patch', bench.url, '--at', '7', '-')

    expect([code, out, err]).toEqual([
      1,
      '',
      'partial-upload: The range begins beyond the end of the resource: ' +
        'expected a range that begins at 4 or before, found one that begins at 7 (409)\n',
    ])
  })

  test('Ctrl-C ends the wait for the standard input', async () => {
    const { child, outcome } = line.start('patch', bench.url, '--at', '0', '-')
    await new Promise((resolve) => child.stdin.write(Buffer.alloc(MiB), resolve))

    child.kill('SIGINT')

    expect((await outcome).code).toBe(130)
  })

  test('a missing file fails with one line', async () => {
    const { code, err } = await line.run('patch', bench.url, '--at', '0', 'none')

    expect([code, err]).toEqual([1, expect.stringMatching(/^partial-upload: .+\n$/)])
  })
})

test.skipIf(spawnSync('script', ['--version']).error !== undefined)(
  'a terminal shows a bar',
  async () => {
    writeFileSync(line.at('film.mp4'), pattern(4 * MiB))
    const command = `stty cols 80 rows 24; node ${line.program} put film.mp4 ${bench.url}`

    const { outcome } = line.startProgram('script', ['-qec', command, '/dev/null'])
    const { code, out } = await outcome

    expect(code).toBe(0)
    expect(out).toMatch(/film\.mp4 +\[[#-]{20}\] \d+% of 4\.2 MB/)
    expect(out).toMatch(/film\.mp4: complete, 4\.2 MB in 0:0\d/)
  },
)
