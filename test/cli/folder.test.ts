/** The commands that read the list of a server: `ls` and `get --recursive`. */
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'

import { startServer } from '../support/cli/server-process.ts'
import { useCommandLine } from '../support/cli/setup.ts'

// Several processes in a row, on a machine with one busy core.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const line = useCommandLine()

/** All regular files below a folder of the test. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(line.at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(line.at(folder).length + 1))
    .toSorted()
}

describe('with a real server', () => {
  let url: string

  beforeEach(async () => {
    const server = await startServer(line.at('uploads'))
    url = `http://127.0.0.1:${server.port}/files/`
    mkdirSync(line.at('photos/summer'), { recursive: true })
    writeFileSync(line.at('photos/a.jpg'), 'a')
    writeFileSync(line.at('photos/notes.txt'), 'notes')
    writeFileSync(line.at('photos/summer/b ü#%.jpg'), 'bb')
    await line.run('put', 'photos', url)
    await fetch(`${url}photos/part.jpg`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'message/byteranges' },
      body: 'Content-Range: bytes 0-2/10\r\n\r\nabc',
    })
  })

  test('ls prints all files, finished or not, or those that the patterns choose', async () => {
    const all = await line.run('ls', url)
    line.environment = { PARTIAL_UPLOAD_URL: url }
    const chosen = await line.run('ls', '--json', '--include', '*.jpg', 'photos/summer')

    expect(all.code).toBe(0)
    expect(all.out.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME').split('\n')).toEqual([
      'TIME            1 photos/a.jpg',
      'TIME            5 photos/notes.txt',
      'TIME            3 photos/part.jpg (incomplete of 10)',
      'TIME            2 photos/summer/b ü#%.jpg',
      '',
    ])
    const [file = '', end, ...rest] = chosen.out.trimEnd().split('\n')
    expect(JSON.parse(file)).toMatchObject({
      event: 'file',
      name: 'photos/summer/b ü#%.jpg',
      url: `${url}photos/summer/b%20%C3%BC%23%25.jpg`,
      size: 2,
      complete: true,
    })
    expect([end, rest]).toEqual(['{"event":"end","exitCode":0}', []])
  })

  test('get -r downloads the finished files, and the same command skips them', async () => {
    const planned = await line.run('get', '-r', '-n', url, 'copy')
    const isUntouched = !existsSync(line.at('copy'))
    const first = await line.run('get', '-r', '--exclude', '*.txt', url, 'copy')
    const second = await line.run('get', '-r', '--exclude', '*.txt', url, 'copy')
    const none = await line.run('get', '-r', '--include', '*.gif', url)

    expect([planned.code, isUntouched]).toEqual([0, true])
    expect(planned.out.match(/would be downloaded/g)).toHaveLength(3)
    expect([first.code, first.err]).toEqual([
      0,
      `partial-upload: photos/part.jpg: skipped (incomplete), at ${url}photos/part.jpg\n`,
    ])
    expect(filesIn('copy')).toEqual(['photos/a.jpg', 'photos/summer/b ü#%.jpg'])
    expect(readFileSync(line.at('copy/photos/summer/b ü#%.jpg'), 'utf8')).toBe('bb')
    expect(second.code).toBe(0)
    expect(second.out.match(/skipped \(same\)/g)).toHaveLength(2)
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('there are no such files')])
  })

  test('get -r replaces a different file only with --overwrite, and gets the others', async () => {
    mkdirSync(line.at('copy'))
    // The other file has the same size, so that only the digests differ.
    writeFileSync(line.at('copy/a.jpg'), 'b')
    line.environment = { PARTIAL_UPLOAD_URL: url }

    const refused = await line.run('get', '-r', 'photos', 'copy')
    const kept = readFileSync(line.at('copy/a.jpg'), 'utf8')
    const replaced = await line.run('get', '-r', '--overwrite', 'photos', 'copy')

    expect([refused.code, kept]).toEqual([3, 'b'])
    expect(refused.err).toContain('copy/a.jpg exists; --overwrite replaces it')
    expect(filesIn('copy')).toEqual(['a.jpg', 'notes.txt', 'summer/b ü#%.jpg'])
    expect([replaced.code, readFileSync(line.at('copy/a.jpg'), 'utf8')]).toEqual([0, 'a'])
  })
})

describe('with a server that names any files', () => {
  let list: unknown
  let server: Server
  let origin: string
  let credentials: (string | undefined)[]

  beforeEach(async () => {
    credentials = []
    server = createServer((req, res) => {
      const isList = req.url === '/list'
      if (isList) credentials.push(req.headers.authorization)
      res.writeHead(list === 404 && isList ? 404 : 200, { ETag: '"a"' })
      res.end(isList ? JSON.stringify(list) : 'stranger')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => server.closeAllConnections())
    onTestFinished(() => void server.close())
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  test.each(['../evil', '/evil', 'a/../../evil', 'a\u001b[2J', 'a//b', 'a\\b'])(
    'get -r does not write outside of its folder for the name %j',
    async (name) => {
      list = [
        { name, size: 8 },
        { name: 'good', size: 8 },
      ]

      const { code, err } = await line.run('get', '-r', `${origin}/files/`, 'copy')

      expect([code, err]).toEqual([1, expect.stringContaining('can not be a local name')])
      expect(filesIn('.')).toEqual(['copy/good'])
    },
  )

  test('get -r does not follow a link inside of its folder', async () => {
    list = [{ key: 'link/a', size: 8 }]
    mkdirSync(line.at('copy'))
    mkdirSync(line.at('victim'))
    symlinkSync('../victim', line.at('copy/link'))

    const { code, err } = await line.run('get', '-r', `${origin}/files/`, 'copy')

    expect([code, err]).toEqual([1, expect.stringContaining('copy/link is not a folder')])
    expect(readdirSync(line.at('victim'))).toEqual([])
  })

  test('get -r keeps a file whose name is that of the incomplete download of another', async () => {
    list = [
      { key: 'a', size: 8 },
      { key: 'a.part', size: 8 },
    ]

    const { code, err } = await line.run('get', '-r', `${origin}/files/`, 'copy')

    expect([code, err]).toEqual([1, expect.stringContaining('would overwrite a.part')])
    expect(filesIn('copy')).toEqual(['a.part'])
  })

  test.each([
    [404, /: the server has no list at \S+\/list; --list names another URL/],
    [{ files: [] }, /: the answer of \S+\/list is not a list of files/],
  ])('ls explains that the answer %j is not a list', async (content, message) => {
    list = content

    const { code, err } = await line.run('ls', `${origin}/files/`)

    expect([code, err]).toEqual([1, expect.stringMatching(message)])
  })

  test('--list of another server gets no credentials', async () => {
    list = [{ key: 'a', size: 1 }]
    line.environment = { PARTIAL_UPLOAD_TOKEN: 'secret' }

    const own = await line.run('ls', `${origin}/files/`)
    const other = await line.run('ls', '--list', `${origin}/list`, 'http://example.org/files/')

    expect([own.code, other.code]).toEqual([0, 0])
    expect(credentials).toEqual(['Bearer secret', undefined])
  })
})
