import { once } from 'node:events'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'

import { fsStorage } from 'partial-upload/storage/fs'
import { beforeEach, describe, expect, test } from 'vitest'

import { Proxy } from '../support/client/proxy.ts'
import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { startServer } from '../support/cli/server-process.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const FILE = pattern(6 * MiB + 5)

const line = useCommandLine()
const bench = useBench({ lockTimeout: 1000 })

beforeEach(async () => {
  await bench.store(() => fsStorage({ directory: line.at('uploads') }))
  writeFileSync(line.at('film.mp4'), FILE)
})

/** Returns the stored bytes of a name. */
function uploaded(name = 'a.bin'): Buffer {
  return readFileSync(line.at('uploads', name))
}

describe('put', () => {
  test('uploads a file, and reports it with its URL in one plain line', async () => {
    const outcome = await line.run('put', 'film.mp4', bench.url)

    const [words = '', place] = outcome.out.split(', at ')
    expect([outcome.code, outcome.err, place]).toEqual([0, '', `${bench.url}\n`])
    expect(words).toMatch(/^film\.mp4: complete, 6\.3 MB in \d:\d\d$/)
    expect(uploaded().equals(FILE)).toBe(true)
  })

  test.each([
    ['/photos/7', '/photos/7'],
    ['http://[', '/files/a.bin'],
  ])('prints the place that the app names with Location: %s', async (location, path) => {
    await bench.configure({ onComplete: async () => ({ headers: { Location: location } }) })

    const { code, out } = await line.run('put', 'film.mp4', bench.url)

    expect([code, out.split(', at ')[1]]).toEqual([0, `${bench.proxy.origin}${path}\n`])
  })

  test('does not send bytes again that the server has', async () => {
    await line.run('put', 'film.mp4', bench.url)
    const { sent } = bench.proxy

    const outcome = await line.run('put', 'film.mp4', bench.url)

    const out = `film.mp4: skipped (same), at ${bench.url}\n`
    expect(outcome).toEqual({ code: 0, out, err: '' })
    expect(bench.proxy.sent).toBe(sent)
  })

  test('prints nothing with --quiet', async () => {
    expect(await line.run('put', '--quiet', 'film.mp4', bench.url)).toEqual({
      code: 0,
      out: '',
      err: '',
    })
  })

  test('resumes after a cut', async () => {
    bench.proxy.fail('PATCH', { kind: 'cut', after: 2 * MiB })

    const { code, out } = await line.run('put', 'film.mp4', bench.url)

    expect([code, uploaded().equals(FILE)]).toEqual([0, true])
    expect(out).toMatch(/^film\.mp4: trying again in 1 s: the connection broke \(.+\)$/m)
  })

  test('stops at Ctrl-C, and the same command sends only the rest', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 4 * MiB })
    const stalled = bench.proxy.stalled()
    const { child, outcome } = line.start('put', 'film.mp4', bench.url)
    await stalled

    child.kill('SIGINT')
    const first = await outcome
    const second = await line.run('put', 'film.mp4', bench.url)

    expect([first.code, first.err]).toEqual([
      130,
      'partial-upload: stopped; run the same command again to resume\n',
    ])
    expect([second.code, second.out]).toEqual([
      0,
      expect.stringMatching(/^film\.mp4: resuming at \d\.\d MB\nfilm\.mp4: complete, /),
    ])
    expect(bench.proxy.seen.at(-1)?.start).toBeGreaterThan(0)
    expect(uploaded().equals(FILE)).toBe(true)
  })

  test('resumes after it was killed', async () => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 4 * MiB })
    const stalled = bench.proxy.stalled()
    const { child, outcome } = line.start('put', 'film.mp4', bench.url)
    await stalled
    child.kill('SIGKILL')
    await outcome

    const { code } = await line.run('put', 'film.mp4', bench.url)

    expect([code, uploaded().equals(FILE)]).toEqual([0, true])
    expect(bench.proxy.seen.at(-1)?.start).toBeGreaterThan(0)
  })

  test('resumes when the server was killed and started again', async () => {
    const first = await startServer(line.at('uploads'))
    const proxy = new Proxy()
    await proxy.start(first.port)
    const stalled = proxy.fail('PATCH', { kind: 'stall', after: 4 * MiB }).stalled()

    const { outcome } = line.start('put', 'film.mp4', `${proxy.origin}/files/killed.bin`)
    await stalled
    await first.end('SIGKILL')
    const second = await startServer(line.at('uploads'), first.port)
    const { code } = await outcome
    await proxy.stop()
    await second.end('SIGTERM')

    expect([code, uploaded('killed.bin').equals(FILE)]).toEqual([0, true])
  })

  test.each([
    ['grows', (file: string) => appendFileSync(file, 'more')],
    ['shrinks', (file: string) => truncateSync(file, FILE.length - 1)],
  ])('fails for a file that %s during the upload', async (_how, change) => {
    bench.proxy.fail('PATCH', { kind: 'stall', after: 4 * MiB })
    const stalled = bench.proxy.stalled()
    const { outcome } = line.start('put', 'film.mp4', bench.url)
    await stalled

    change(line.at('film.mp4'))
    bench.proxy.reconnect()
    const { code, out, err } = await outcome

    expect([code, out]).toEqual([1, expect.not.stringContaining('complete')])
    expect(err).toBe('partial-upload: film.mp4: the file has changed since the upload began\n')
    expect(await bench.state()).not.toMatch(/^C/)
  })

  test('gives up after its retries, with one line', async () => {
    const outcome = await line.run('put', '--retries', '0', 'film.mp4', await deadUrl())

    expect(outcome).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(
        /^partial-upload: film\.mp4: no server listens at this address \(connect ECONNREFUSED \S+\); check host and port of the URL\n$/,
      ) as string,
    })
  })

  test('does not replace a different file without --overwrite', async () => {
    await fetch(bench.direct, { method: 'PUT', body: 'other' })

    const refused = await line.run('put', 'film.mp4', bench.url)
    const kept = uploaded().toString()
    const replaced = await line.run('put', '--overwrite', 'film.mp4', bench.url)

    expect([refused, kept]).toEqual([
      {
        code: 3,
        out: '',
        err: 'partial-upload: film.mp4: the URL holds 5 bytes of a different file; --overwrite replaces it\n',
      },
      'other',
    ])
    expect([replaced.code, uploaded().equals(FILE)]).toEqual([0, true])
  })

  test('reads the standard input', async () => {
    const { code, out } = await line.runWith(FILE, 'put', '-', bench.url)

    expect([code, out]).toEqual([0, expect.stringMatching(/^standard input: complete, 6\.3 MB /)])
    expect(uploaded().equals(FILE)).toBe(true)
  })

  test('sends the fields and the media type that it is given', async () => {
    const fields = ['-H', 'X-Token: a:b', '-H', 'Authorization: Bearer t']

    await line.run('put', ...fields, '--content-type', 'video/mp4', 'film.mp4', bench.url)

    const response = await fetch(bench.direct, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe('video/mp4')
    expect(
      bench.proxy.seen.map(({ headers }) => [headers['x-token'], headers.authorization]),
    ).toEqual(bench.proxy.seen.map(() => ['a:b', 'Bearer t']))
  })

  test.each([
    [['film.mp4'], 'video/mp4'],
    [['--content-type', 'text/x-own', 'film.mp4'], 'text/x-own'],
    [['film'], 'application/octet-stream'],
  ])('sends a file named %j as %s', async (args, type) => {
    writeFileSync(line.at('film'), 'a')

    await line.run('put', ...args, bench.url)

    const response = await fetch(bench.direct, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe(type)
  })

  test('takes user and password from the URL, and does not print them', async () => {
    const url = bench.url.replace('//', '//me:s%20t@')
    await fetch(bench.direct, { method: 'PUT', body: 'other' })

    const { err } = await line.run('put', 'film.mp4', url)

    expect(bench.proxy.seen[0]?.headers.authorization).toBe(`Basic ${btoa('me:s t')}`)
    expect(err).not.toContain('s%20t')
  })
})

describe('put to a URL that ends in a slash', () => {
  beforeEach(() => {
    mkdirSync(line.at('photos/summer'), { recursive: true })
    writeFileSync(line.at('photos/a.jpg'), 'a')
    writeFileSync(line.at('photos/summer/b ü#%.jpg'), 'b')
  })

  test('sends files and folders under their names', async () => {
    const url = new URL('./', bench.url).href

    const { code, out } = await line.run('put', 'film.mp4', 'photos', url)

    expect([code, out.trimEnd().split('\n').length]).toEqual([0, 3])
    expect(uploaded('film.mp4').equals(FILE)).toBe(true)
    expect(uploaded('photos/a.jpg').toString()).toBe('a')
    expect(uploaded('photos/summer/b ü#%.jpg').toString()).toBe('b')
  })

  test('sends the files in a folder that is named by a dot', async () => {
    await line.run('put', 'photos/.', new URL('./x/', bench.url).href)

    expect(uploaded('x/a.jpg').toString()).toBe('a')
  })

  test('sends as many files at a time as --concurrency says', async () => {
    const url = new URL('./', bench.url).href
    const stalls = [bench.proxy.stalled(), bench.proxy.stalled()]
    for (let i = 0; i < 3; i++) {
      writeFileSync(line.at(`${i}.bin`), pattern(MiB, i))
      bench.proxy.fail('PATCH', { kind: 'stall', after: 1000 })
    }

    const { child, outcome } = line.start(
      ...['put', '--concurrency', '2', '0.bin', '1.bin', '2.bin', url],
    )
    await Promise.all(stalls)
    const under = bench.proxy.seen.filter(({ method }) => method === 'PATCH').length
    child.kill('SIGINT')

    expect([under, (await outcome).code]).toEqual([2, 130])
  })

  test.each([
    [['photos/*.jpg'], ['a.jpg']],
    [['photos/**/*'], ['a.jpg', 'b ü#%.jpg']],
    [['*/summer/b*'], ['b ü#%.jpg']],
    [['phot?s/summer/../?.jpg'], ['a.jpg']],
    [['photos/**'], ['a.jpg', 'b ü#%.jpg']],
  ])('finds %j without a shell', async (patterns, names) => {
    writeFileSync(line.at('photos/.hidden.jpg'), 'h')

    const { code, out } = await line.run('put', ...patterns, new URL('./', bench.url).href)

    expect(code).toBe(0)
    expect(sentIn(out)).toEqual(names)
  })

  test('sends a file whose name looks like a pattern', async () => {
    writeFileSync(line.at('what?.txt'), 'w')

    await line.run('put', 'what?.txt', new URL('./', bench.url).href)

    expect(uploaded('what?.txt').toString()).toBe('w')
  })

  test('fails for a pattern that nothing matches', async () => {
    expect(await line.run('put', 'photos/*.png', new URL('./', bench.url).href)).toEqual({
      code: 1,
      out: '',
      err: 'partial-upload: photos/*.png: there is no such file\n',
    })
  })

  test('sends one file at a time with --concurrency 1', async () => {
    const url = new URL('./', bench.url).href

    const { out } = await line.run('put', '--concurrency', '1', 'film.mp4', 'photos', url)

    expect(out.split('\n').map((text) => text.split(':')[0])).toEqual([
      'film.mp4',
      'photos/a.jpg',
      'photos/summer/b ü#%.jpg',
      '',
    ])
  })

  test('sends the other files when one fails', async () => {
    symlinkSync('..', line.at('photos/loop'))

    const { code, err } = await line.run('put', 'none', 'photos', new URL('./', bench.url).href)

    expect([code, err]).toEqual([
      1,
      'partial-upload: none: there is no such file\n' +
        'partial-upload: photos/loop: skipped (symbolic link)\n',
    ])
    expect(uploaded('photos/summer/b ü#%.jpg').toString()).toBe('b')
  })

  test.each([
    [['film.mp4', 'photos/a.jpg'], 'a.bin', /several files need a URL that ends in a slash/],
    [['photos'], 'a.bin', /"photos" is a folder/],
    [['-'], '', /the standard input has no name/],
    [['photos/a.jpg', './photos/../photos/a.jpg'], '', /would have the same URL /],
  ])('refuses %j to /files/%s', async (files, name, message) => {
    const { code, err } = await line.run('put', ...files, new URL(`./${name}`, bench.url).href)

    expect([code, err]).toEqual([2, expect.stringMatching(message)])
  })
})

/** The names of the files that were sent, without their folders. */
function sentIn(out: string): readonly string[] {
  return out
    .split('\n')
    .flatMap((text) => /([^/]+): complete/.exec(text)?.[1] ?? [])
    .toSorted()
}

/** A URL without a server. */
async function deadUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}/a.bin`
}
