/** `get` in a folder that already has files with its names. */
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { MiB, pattern } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const CONTENT = Buffer.from('the new content')

const line = useCommandLine()
let answer: (req: IncomingMessage, res: ServerResponse) => void
let server: Server
let url: string

beforeEach(async () => {
  answer = (_req, res) => {
    res.writeHead(200, { ETag: '"a"', 'Content-Length': CONTENT.length }).end(CONTENT)
  }
  server = createServer((req, res) => answer(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/film.mp4`
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

function makeFifo(name: string): void {
  execFileSync('mkfifo', [line.at(name)])
}

describe('FILE', () => {
  test('is replaced with its permissions, and other hard links keep the old content', async () => {
    writeFileSync(line.at('a'), 'old')
    linkSync(line.at('a'), line.at('other'))
    chmodSync(line.at('a'), 0o640)

    const { code } = await line.run('get', '--overwrite', url, 'a')

    expect(code).toBe(0)
    expect(readFileSync(line.at('a')).equals(CONTENT)).toBe(true)
    expect(statSync(line.at('a')).mode & 0o777).toBe(0o640)
    expect(readFileSync(line.at('other'), 'utf8')).toBe('old')
  })

  test.each([
    ['a symbolic link', () => symlinkSync('victim', line.at('a'))],
    ['a symbolic link that leads nowhere', () => symlinkSync('none', line.at('a'))],
    ['a named pipe', () => makeFifo('a')],
  ])('that is %s is refused, with and without --overwrite', async (_kind, make) => {
    writeFileSync(line.at('victim'), 'keep')
    make()
    const before = lstatSync(line.at('a'))

    const plain = await line.run('get', url, 'a')
    const overwriting = await line.run('get', '--overwrite', url, 'a')

    expect([plain.code, overwriting.code]).toEqual([3, 3])
    expect(overwriting.err).toMatch(/^partial-upload: a is (?:a symbolic link|not a regular)/)
    expect(lstatSync(line.at('a')).ino).toBe(before.ino)
    expect(readFileSync(line.at('victim'), 'utf8')).toBe('keep')
    expect(readdirSync(line.folder).toSorted()).toEqual(['a', 'victim'])
  })

  test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'that is a device is refused (needs root)',
    async ({ skip }) => {
      // A copy of the device /dev/null, so that a failure of the test does not remove the real one.
      const made = spawnSync('mknod', [line.at('null'), 'c', '1', '3'])
      skip(made.status !== 0, 'no device can be made here')

      const { code, err } = await line.run('get', '--overwrite', url, 'null')

      expect([code, err]).toEqual([3, 'partial-upload: null is not a regular file\n'])
      expect(lstatSync(line.at('null')).isCharacterDevice()).toBe(true)
    },
  )

  test('that is created while the download runs is left alone', async () => {
    answer = (_req, res) => {
      writeFileSync(line.at('a'), 'mine')
      res.writeHead(200, { ETag: '"a"', 'Content-Length': CONTENT.length }).end(CONTENT)
    }

    const { code, err } = await line.run('get', url, 'a')

    expect([code, err]).toEqual([3, 'partial-upload: a exists; --overwrite replaces it\n'])
    expect(readFileSync(line.at('a'), 'utf8')).toBe('mine')
  })

  test.each(['%2e%2e', 'a%2fb', '%1b%5b2J', '%ff', '%zz', ''])(
    'does not take the name "%s" from the end of the URL',
    async (end) => {
      const { code, err } = await line.run('get', new URL(`./${end}`, url).href, '.')

      expect([code, err]).toEqual([2, expect.stringContaining('add a name to FILE')])
      expect(readdirSync(line.folder)).toEqual([])
    },
  )
})

describe('FILE.part', () => {
  test.each([
    ['a symbolic link', () => symlinkSync('victim', line.at('a.part'))],
    ['a symbolic link that leads nowhere', () => symlinkSync('none', line.at('a.part'))],
    ['a hard link', () => linkSync(line.at('victim'), line.at('a.part'))],
    ['a named pipe', () => makeFifo('a.part')],
    ['a folder', () => mkdirSync(line.at('a.part'))],
  ])('that is %s is refused', async (_kind, make) => {
    writeFileSync(line.at('victim'), 'keep')
    make()

    const { code, err } = await line.run('get', url, 'a')

    expect([code, err]).toEqual([1, expect.stringMatching(/a\.part .+ remove it first\n$/)])
    expect(readFileSync(line.at('victim'), 'utf8')).toBe('keep')
    expect(readdirSync(line.folder).toSorted()).toEqual(['a.part', 'victim'])
  })

  test('is not completed if another command has fetched another version meanwhile', async () => {
    let version = 0
    const waiting: ServerResponse[] = []
    answer = (_req, res) => {
      version += 1
      res.writeHead(200, { ETag: `"${version}"`, 'Content-Length': 2 }).write(`${version}`)
      waiting.push(res)
      if (version === 1) server.emit('first')
      else for (const response of waiting) response.end('.')
    }
    const isFirst = once(server, 'first')

    const first = line.start('get', url, 'a')
    await isFirst
    await expect.poll(() => existsSync(line.at('a.part.json'))).toBe(true)
    const second = await line.run('get', url, 'a')
    const { code, err } = await first.outcome

    expect(new Set([code, second.code])).toEqual(new Set([0, 3]))
    expect(err + second.err).toContain('another command has written to a.part')
    expect(['1.', '2.']).toContain(readFileSync(line.at('a'), 'utf8'))
  })
})

describe('FILE.part.json', () => {
  test.each([
    ['a symbolic link', () => symlinkSync('victim', line.at('a.part.json'))],
    ['a named pipe', () => makeFifo('a.part.json')],
  ])('that is %s is replaced and not followed', async (_kind, make) => {
    writeFileSync(line.at('victim'), 'keep')
    make()

    const { code } = await line.run('get', url, 'a')

    expect(code).toBe(0)
    expect(readFileSync(line.at('victim'), 'utf8')).toBe('keep')
    expect(readdirSync(line.folder).toSorted()).toEqual(['a', 'victim'])
  })
})

describe('an answer', () => {
  test.each([
    ['gzip', gzipSync(CONTENT)],
    ['br', brotliCompressSync(CONTENT)],
  ])('that is coded with %s is decoded', async (coding, body) => {
    answer = (_req, res) => {
      const fields = { ETag: '"a"', 'Content-Encoding': coding, 'Content-Length': body.length }
      res.writeHead(200, fields).end(body)
    }

    const { code } = await line.run('get', url, 'a')

    expect(code).toBe(0)
    expect(readFileSync(line.at('a')).equals(CONTENT)).toBe(true)
    expect(readdirSync(line.folder)).toEqual(['a'])
  })

  test('in an unknown coding is refused, and leaves nothing', async () => {
    answer = (_req, res) => void res.writeHead(200, { 'Content-Encoding': 'zstd' }).end('code')

    const { code, err } = await line.run('get', url, 'a')

    expect([code, err]).toEqual([
      1,
      'partial-upload: the server sends the file compressed as "zstd", which this command does not support\n',
    ])
    expect(readdirSync(line.folder)).toEqual([])
  })

  test.each([
    ['no entity tag', {}],
    ['a coding', { ETag: '"a"', 'Content-Encoding': 'gzip' }],
    ['another entity tag', { ETag: '"b"' }],
  ])('to a request for the rest that has %s is not appended', async (_what, fields) => {
    writeFileSync(line.at('a.part'), 'old')
    const note = { url, etag: '"a"', size: CONTENT.length }
    writeFileSync(line.at('a.part.json'), JSON.stringify(note))
    answer = (req, res) => {
      const isWhole = req.headers.range === undefined
      const range = { 'Content-Range': `bytes 3-${CONTENT.length - 1}/${CONTENT.length}` }
      if (isWhole) res.writeHead(200, { ETag: '"b"', 'Content-Length': CONTENT.length })
      else res.writeHead(206, { ...fields, ...range })
      res.end(isWhole ? CONTENT : CONTENT.subarray(3))
    }

    const { code } = await line.run('get', url, 'a')

    expect([code, readFileSync(line.at('a'), 'utf8')]).toEqual([0, CONTENT.toString()])
  })
})

test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
  'a full disk is explained, and the download resumes when there is space (needs root)',
  async ({ skip }) => {
    const file = pattern(3 * MiB)
    answer = (req, res) => {
      const start = Number(/\d+/.exec(req.headers.range ?? '0')?.[0])
      const range = { 'Content-Range': `bytes ${start}-${file.length - 1}/${file.length}` }
      res.writeHead(start > 0 ? 206 : 200, {
        ETag: '"a"',
        'Content-Length': file.length - start,
        ...(start > 0 ? range : {}),
      })
      res.end(file.subarray(start))
    }
    mkdirSync(line.at('small'))
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', line.at('small')])
    skip(mounted.status !== 0, 'no file system can be mounted here')
    try {
      const full = await line.run('get', url, 'small/a')
      execFileSync('mount', ['-o', 'remount,size=8m', line.at('small')])
      const resumed = await line.run('get', url, 'small/a')

      expect(full).toMatchObject({
        code: 1,
        err: expect.stringMatching(
          /^partial-upload: the disk is full \(.+\); free space/,
        ) as string,
      })
      expect([resumed.code, resumed.out]).toEqual([0, expect.stringContaining('resuming at 2.')])
      expect(readFileSync(line.at('small/a')).equals(file)).toBe(true)
    } finally {
      spawnSync('umount', [line.at('small')])
    }
  },
)
