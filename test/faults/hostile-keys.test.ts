/** Paths that try to lead out of the directory, or into its hidden files. */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { FaultServer, newDirectory, reasonAgainst, title } from '../support/faults/server.ts'

/** The status of a GET, then that of a PUT, and the name of the file that the PUT creates. */
type Row = readonly [target: string, get: number, put: number, file: string | null]

const refused = (target: string): Row => [target, 400, 400, null]
const stored = (target: string, file: string): Row => [target, 404, 201, file]
const elsewhere = (target: string): Row => [target, 404, 404, null]

const TRAVERSAL: readonly Row[] = [
  '/files/../canary',
  '/files/%2e%2e/canary',
  '/files/%2E%2E/canary',
  '/files/.%2e/canary',
  '/files/%2e./canary',
  '/files/..%2fcanary',
  '/files/%2e%2e%2fcanary',
  '/files/..%2Fcanary',
  '/files/%2fetc/passwd',
  '/files/%2Fetc%2Fpasswd',
  '/files/..%5ccanary',
  '/files/..\\canary',
  '/files/a/../../canary',
  '/files/a/%2e%2e/%2e%2e/canary',
  '/files/a/b/../../../canary',
  '/files/.',
  '/files/..',
  '/files/./x',
  '/files/a/.',
  '/files/a/..',
  '/files/a/./b',
  '/files//canary',
  '/files///etc/passwd',
  '/files/a//b',
  '/files/%c0%ae%c0%ae/canary',
  '/files/..%c0%afcanary',
  '/files/%e0%80%ae%e0%80%ae/canary',
  '/files/%f0%80%80%ae%f0%80%80%ae/canary',
  '/files/%f8%80%80%80%ae/canary',
  '/files/%u002e%u002e/canary',
  '/files/..%00/canary',
  '/files/x%00.txt',
  '/files/x%0a',
  '/files/x%0d%0aSet-Cookie:%20a',
  '/files/x%09',
  '/files/x%1b[2J',
  '/files/x%7f',
  '/files/%ed%a0%80',
  '/files/%f4%90%80%80',
  '/files/%c3',
  '/files/%ff',
  '/files/%',
  '/files/%2',
  '/files/%zz',
  '/files/C:%5cwindows',
  '/files/%5c%5cserver%5cshare',
  '/files/\\\\server\\share',
  'http://evil.example/files/../canary',
].map(refused)

/** The middleware passes on a GET of a folder, which this app does not answer. */
const FOLDERS: readonly Row[] = [['/files/a/', 404, 400, null]]

const NOT_BELOW: readonly Row[] = [
  '//server/share',
  '/canary',
  '/files/../../canary'.slice('/files/..'.length),
  '/filesystem/x',
  '/%66iles/x',
  'http://evil.example/canary',
].map(elsewhere)

const HIDDEN: readonly Row[] = [
  '/files/.partial-upload',
  '/files/.partial-upload/x',
  '/files/.Partial-Upload/x',
  '/files/.PARTIAL-UPLOAD',
  '/files/%2epartial-upload/x',
  '/files/.partial%2dupload/x',
  '/files/.partial-upload./x',
  '/files/.partial-upload.../x',
  '/files/.partial-upload%20/x',
  '/files/.partial-upload%20./x',
  '/files/.partial-upload::$INDEX_ALLOCATION/x',
  '/files/.partial-upload:stream',
  '/files/PARTIA~1/x',
  '/files/partia~2',
  '/files/pa1b2c~1/x',
  '/files/.partial%e2%80%8c-upload/x',
  '/files/.partial-upload%ef%bb%bf/x',
  '/files/%e2%80%8d.partial-upload/x',
  '/files/.part%c4%b1al-upload/x',
  '/files/%ef%bc%8epartial-upload/x',
  '/files/.partial%ef%bc%8dupload/x',
].map(refused)

const HASH = 'x'.repeat(43)

const NAMES: readonly Row[] = [
  stored('/files/%252e%252e%252fcanary', '%2e%2e%2fcanary'),
  stored('/files/%25c0%25ae/x', '%c0%ae/x'),
  stored('/files/%ef%bc%8e%ef%bc%8e/x', '\uff0e\uff0e/x'),
  stored('/files/%e2%80%a5/x', '\u2025/x'),
  stored('/files/..;/canary', '..;/canary'),
  stored('/files/a;v=1/b', 'a;v=1/b'),
  stored('/files/.../canary', '.../canary'),
  stored('/files/..x', '..x'),
  stored('/files/x..', 'x..'),
  stored('/files/x.', 'x.'),
  stored('/files/x%20', 'x '),
  stored('/files/%20', ' '),
  stored('/files/C:/x', 'C:/x'),
  stored('/files/CON', 'CON'),
  stored('/files/nul.txt', 'nul.txt'),
  stored('/files/AUX', 'AUX'),
  stored('/files/COM1', 'COM1'),
  stored('/files/LPT1:', 'LPT1:'),
  stored('/files/~root', '~root'),
  stored('/files/$HOME', '$HOME'),
  stored('/files/-rf', '-rf'),
  stored('/files/*', '*'),
  stored('/files/Case', 'Case'),
  stored('/files/case', 'case'),
  stored('/files/%c3%a9', '\u00e9'),
  stored('/files/e%cc%81', 'e\u0301'),
  stored('/files/%e2%80%aegpj.exe', '\u202egpj.exe'),
  stored('/files/q?../../canary', 'q'),
  stored('/files/q%3f', 'q?'),
  stored('/files/q%23', 'q#'),
  stored('http://evil.example/files/absolute', 'absolute'),
  stored('/FILES/mount', 'mount'),
  stored('/files/y/.partial-upload/x', 'y/.partial-upload/x'),
  stored('/files/.partial-uploads', '.partial-uploads'),
  stored(`/files/${HASH}.json`, `${HASH}.json`),
  stored(`/files/${HASH}.yyyyyyyyyyyy.data`, `${HASH}.yyyyyyyyyyyy.data`),
  stored(`/files/${'n'.repeat(255)}`, 'n'.repeat(255)),
  stored(`/files/${'%c3%a9'.repeat(127)}n`, `${'\u00e9'.repeat(127)}n`),
  stored(`/files/${'d/'.repeat(511)}dd`, `${'d/'.repeat(511)}dd`),
]

const TOO_LONG: readonly Row[] = [
  `/files/${'n'.repeat(256)}`,
  `/files/${'n'.repeat(300)}/x`,
  `/files/${'%c3%a9'.repeat(128)}`,
  `/files/${'d/'.repeat(512)}d`,
  `/files/${'n'.repeat(5000)}`,
].map(refused)

/** A directory with a canary beside it and above it. */
interface Ground {
  readonly outer: string
  readonly directory: string
  readonly server: FaultServer
}

async function prepare(): Promise<Ground> {
  const outer = newDirectory()
  const directory = path.join(outer, 'data/uploads')
  mkdirSync(path.join(outer, 'data/canary'), { recursive: true })
  writeFileSync(path.join(outer, 'canary'), 'secret')
  writeFileSync(path.join(outer, 'data/canary/file'), 'secret')
  const server = await FaultServer.start({ directory })
  await server.send('PUT', '/files/there', [], 'there')
  return { outer, directory, server }
}

/** Returns the names, kinds, times and contents in a directory, without the entry `without`. */
function tree(directory: string, without: string): readonly string[] {
  return readdirSync(directory)
    .toSorted()
    .flatMap((name) => {
      const file = path.join(directory, name)
      if (file === without) return []
      const { mode, mtimeMs, ino } = lstatSync(file)
      const line = `${file} ${mode} ${ino} ${mtimeMs}`
      if (lstatSync(file).isSymbolicLink()) return [`${line} ${readlinkSync(file)}`]
      if (lstatSync(file).isDirectory()) return [line, ...tree(file, without)]
      return [lstatSync(file).isFile() ? `${line} ${readFileSync(file, 'latin1')}` : line]
    })
}

async function statusOf(server: FaultServer, method: string, target: string): Promise<number> {
  const connection = await server.connect()
  const body = method === 'PUT' ? 'evil' : ''
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: test', `Content-Length: ${body.length}`]
  const answer = await connection.send([...lines, '', body].join('\r\n')).answer(method)
  connection.socket.destroy()
  expect(answer.body.toString('latin1')).not.toContain('secret')
  return answer.status
}

describe.each([
  ['that leave the directory are refused', TRAVERSAL],
  ['that are folders can only be read, by the app', FOLDERS],
  ['that are not below the mount are not for the middleware', NOT_BELOW],
  ['of the hidden folder, in every spelling, are refused', HIDDEN],
  ['that only look bad name a file in the directory', NAMES],
  ['that are too long are refused', TOO_LONG],
])('paths', (what, rows) => {
  it(`${what} (${rows.length})`, async () => {
    const { outer, directory, server } = await prepare()
    const before = tree(outer, directory)
    const names = readdirSync(directory)

    const found: Row[] = []
    for (const [target, , , file] of rows) {
      const get = await statusOf(server, 'GET', target)
      const put = await statusOf(server, 'PUT', target)
      const isThere = file !== null && readFileSync(path.join(directory, file), 'utf8') === 'evil'
      found.push([target, get, put, isThere ? file : null])
      if (file === null) expect(await statusOf(server, 'DELETE', target)).toBe(put)
      else expect(await statusOf(server, 'DELETE', target)).toBe(204)
    }

    expect(found).toEqual(rows)
    expect(tree(outer, directory)).toEqual(before)
    expect(readdirSync(directory)).toEqual(names)
  })
})

it('a file and a folder of the same name exclude each other, in either order', async () => {
  const { server } = await prepare()

  const statuses = []
  for (const target of ['/files/a', '/files/a/b', '/files/c/d', '/files/c', '/files/a/b/c']) {
    statuses.push(await statusOf(server, 'PUT', target))
  }

  expect(statuses).toEqual([201, 409, 201, 409, 409])
  expect([await server.state('/files/a'), await server.state('/files/c/d')]).toEqual([
    'C(4)',
    'C(4)',
  ])
})

describe('links that another program has put into the directory', () => {
  it('do not lead out of it, whatever their target', async () => {
    const { outer, directory, server } = await prepare()
    const plant = (name: string, target: string): void =>
      symlinkSync(target, path.join(directory, name))
    plant('file', path.join(outer, 'canary'))
    plant('relative', '../canary/file')
    plant('folder', path.join(outer, 'data/canary'))
    plant('dangling', path.join(outer, 'nothing'))
    plant('loop', 'loop')
    plant('inside', 'there')
    plant('hidden', '.partial-upload')
    const before = tree(outer, path.join(directory, '.partial-upload'))

    const found = []
    const targets = ['file', 'relative', 'folder', 'folder/file', 'folder/new', 'folder/x/new']
    for (const name of [
      ...targets,
      'dangling',
      'dangling/x',
      'loop',
      'loop/x',
      'inside',
      'hidden/x',
    ]) {
      const statuses = []
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
        statuses.push(await statusOf(server, method, `/files/${name}`))
      }
      found.push(`${name} ${statuses.join(' ')}`)
    }

    expect(found.filter((line) => !line.endsWith(' 404 404 409 404'))).toEqual([])
    expect(tree(outer, path.join(directory, '.partial-upload'))).toEqual(before)
  })

  it('in the place of the staging directory stop every request', async () => {
    const outer = newDirectory()
    const directory = path.join(outer, 'uploads')
    mkdirSync(directory)
    mkdirSync(path.join(outer, 'canary'))
    symlinkSync('../canary', path.join(directory, '.partial-upload'))
    const server = await FaultServer.start({ directory })

    const statuses = [
      await statusOf(server, 'PUT', '/files/a'),
      await statusOf(server, 'GET', '/files/a'),
    ]

    expect(statuses).toEqual([500, 500])
    expect(readdirSync(path.join(outer, 'canary'))).toEqual([])
  })

  it('in the staging directory are not followed', async () => {
    const { outer, directory, server } = await prepare()
    await server.patch('/files/part', 'bytes 0-3/8', 'abcd')
    await server.patch('/files/record', 'bytes 0-3/8', 'abcd')
    await server.kill()
    const hidden = path.join(directory, '.partial-upload')
    for (const name of readdirSync(hidden)) {
      if (!name.endsWith('.json')) continue
      const file = path.join(hidden, name)
      const record = JSON.parse(readFileSync(file, 'utf8')) as { key: string; data: string }
      const planted = record.key === 'part' ? path.join(hidden, record.data) : file
      if (record.key === 'there') continue
      writeFileSync(path.join(outer, record.key), 'secret')
      execFileSync('ln', ['-sf', path.join(outer, record.key), planted])
    }
    const next = await FaultServer.start({ directory })

    const found = []
    for (const key of ['part', 'record']) {
      const get = await statusOf(next, 'GET', `/files/${key}`)
      found.push([get, await statusOf(next, 'PUT', `/files/${key}`)])
    }

    expect(found).toEqual([
      [404, 201],
      [404, 201],
    ])
    for (const key of ['part', 'record']) {
      expect(readFileSync(path.join(outer, key), 'utf8')).toBe('secret')
    }
  })

  it('in a record are not followed', async () => {
    const { outer, directory, server } = await prepare()
    await server.patch('/files/part', 'bytes 0-3/8', 'abcd')
    const hidden = path.join(directory, '.partial-upload')
    for (const name of readdirSync(hidden).filter((other) => other.endsWith('.json'))) {
      const file = path.join(hidden, name)
      const record = readFileSync(file, 'utf8')
      writeFileSync(file, record.replace(/"data":"[^"]*"/, '"data":"../../../canary"'))
    }

    expect(await statusOf(server, 'GET', '/files/part')).toBe(404)
    expect(await statusOf(server, 'DELETE', '/files/part')).toBe(404)
    expect(await statusOf(server, 'PUT', '/files/part')).toBe(201)
    expect(readFileSync(path.join(outer, 'canary'), 'utf8')).toBe('secret')
  })

  it('are replaced by a copy when the file changes, if they are hard links', async () => {
    const { outer, directory, server } = await prepare()
    const canary = path.join(outer, 'canary')
    linkSync(canary, path.join(directory, 'hard'))
    linkSync(canary, path.join(directory, 'cut'))
    linkSync(canary, path.join(directory, 'gone'))
    const { ino } = statSync(canary)

    const statuses = [
      (await server.patch('/files/hard', 'bytes 0-0/*', 'S')).status,
      (await server.patch('/files/cut', 'bytes */2')).status,
      (await server.send('DELETE', '/files/gone')).status,
    ]

    expect(statuses).toEqual([204, 204, 204])
    expect(readFileSync(canary, 'utf8')).toBe('secret')
    expect(statSync(canary)).toMatchObject({ ino, nlink: 1 })
    expect(readFileSync(path.join(directory, 'hard'), 'utf8')).toBe('Secret')
  })
})

const NO_FIFO = reasonAgainst('needs mkfifo', () => execFileSync('mkfifo', ['--version']))
const NO_DEVICE = reasonAgainst('needs the right to make a device', () => {
  execFileSync('sh', ['-c', 'd=$(mktemp -d) && mknod "$d/z" c 1 5; e=$?; rm -r "$d"; exit $e'])
})

describe('a named pipe, socket, directory or device', () => {
  it.skipIf(NO_FIFO !== null)(
    title('is not a resource, and does not block a request', NO_FIFO),
    async () => {
      const { directory, server } = await prepare()
      execFileSync('mkfifo', [path.join(directory, 'pipe')])
      const socket = createServer().listen(path.join(directory, 'socket'))
      onTestFinished(() => void socket.close())
      mkdirSync(path.join(directory, 'folder/below'), { recursive: true })
      writeFileSync(path.join(directory, 'folder/below/file'), 'file')

      const found = []
      for (const name of ['pipe', 'socket', 'folder']) {
        for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
          found.push(await statusOf(server, method, `/files/${name}`))
        }
      }

      expect(found).toEqual([404, 404, 409, 404, 404, 404, 409, 404, 404, 404, 409, 404])
      expect(existsSync(path.join(directory, 'pipe'))).toBe(true)
    },
  )

  it.skipIf(NO_DEVICE !== null)(title('is not read if it is a device', NO_DEVICE), async () => {
    const { directory, server } = await prepare()
    execFileSync('mknod', [path.join(directory, 'zero'), 'c', '1', '5'])

    expect(await statusOf(server, 'GET', '/files/zero')).toBe(404)
    expect(await statusOf(server, 'PUT', '/files/zero')).toBe(409)
  })

  it.skipIf(NO_FIFO !== null)(
    title('does not block a request in the staging directory either', NO_FIFO),
    async () => {
      const { directory, server } = await prepare()
      await server.patch('/files/part', 'bytes 0-3/8', 'abcd')
      await server.kill()
      const hidden = path.join(directory, '.partial-upload')
      for (const name of readdirSync(hidden)) {
        execFileSync('rm', [path.join(hidden, name)])
        execFileSync('mkfifo', [path.join(hidden, name)])
      }
      const next = await FaultServer.start({ directory })

      expect(await statusOf(next, 'GET', '/files/part')).toBe(404)
      expect(await statusOf(next, 'GET', '/files/there')).toBe(200)
      expect(await statusOf(next, 'PUT', '/files/part')).toBe(201)
    },
  )
})
