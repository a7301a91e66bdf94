/** The command says "complete", "same" or "written" only if the server has exactly these bytes. */
import { once } from 'node:events'
import {
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'

import { fsStorage } from 'partial-upload/storage/fs'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'

import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const FILE = pattern(8 * MiB)

// Five processes in a row, on a machine with one busy core.
vi.setConfig({ testTimeout: 120_000 })

const line = useCommandLine()
const bench = useBench({ lockTimeout: 5000 })

beforeEach(async () => {
  await bench.store(() => fsStorage({ directory: line.at('uploads') }))
  writeFileSync(line.at('film.mp4'), FILE)
})

/** Changes seven bytes in the middle of a file, and keeps its size and times. */
function edit(): Buffer {
  const { atime, mtime } = statSync(line.at('film.mp4'))
  const file = openSync(line.at('film.mp4'), 'r+')
  writeSync(file, 'changed', FILE.length / 2)
  closeSync(file)
  utimesSync(line.at('film.mp4'), atime, mtime)
  return readFileSync(line.at('film.mp4'))
}

function uploaded(): Buffer {
  return readFileSync(line.at('uploads/a.bin'))
}

describe('a file of the same size and time with seven other bytes in the middle', () => {
  test('is a different file, which --overwrite sends', async () => {
    await line.run('put', 'film.mp4', bench.url)
    const edited = edit()

    const refused = await line.run('put', 'film.mp4', bench.url)
    const kept = uploaded()
    const replaced = await line.run('put', '--overwrite', 'film.mp4', bench.url)
    const again = await line.run('put', '--overwrite', 'film.mp4', bench.url)

    expect(refused).toEqual({
      code: 3,
      out: '',
      err: expect.stringMatching(/different file; --overwrite replaces it\n$/) as string,
    })
    expect(kept.equals(FILE)).toBe(true)
    expect([replaced.code, replaced.out]).toEqual([0, expect.stringContaining(': complete, ')])
    expect(uploaded().equals(edited)).toBe(true)
    expect([again.code, again.out]).toEqual([0, `film.mp4: skipped (same), at ${bench.url}\n`])
  })

  test('does not become the rest of an unfinished upload', async () => {
    const cut = 5 * MiB
    bench.proxy.fail('PATCH', { kind: 'stall', after: cut })
    const stalled = bench.proxy.stalled()
    const { child, outcome } = line.start('put', 'film.mp4', bench.url)
    await stalled
    child.kill('SIGKILL')
    await outcome
    const edited = edit()

    const { code, out } = await line.run('put', '--overwrite', 'film.mp4', bench.url)

    expect([code, out]).toEqual([0, expect.stringContaining(': complete, ')])
    expect(uploaded().equals(edited)).toBe(true)
  })
})

test('a failed replacement keeps the old file', async () => {
  writeFileSync(line.at('film.mp4'), FILE.subarray(1))
  await fetch(bench.direct, { method: 'PUT', body: 'the old file' })
  bench.proxy.fail('PUT', { kind: 'stall', after: 4 * MiB })
  const stalled = bench.proxy.stalled()

  const { child, outcome } = line.start('put', '--overwrite', 'film.mp4', bench.url)
  await stalled
  const meanwhile = await fetch(bench.direct)
  child.kill('SIGINT')
  await outcome

  expect([meanwhile.status, await meanwhile.text()]).toEqual([200, 'the old file'])
  expect(uploaded().toString()).toBe('the old file')
})

describe('a URL that answers everything with a web page', () => {
  test.each([0, 10, MiB])('is not believed to have stored %i bytes', async (size) => {
    const server = createServer((req, res) => {
      req.resume().on('end', () => {
        res.writeHead(200, { 'Content-Type': 'text/html' })
        res.end('<!doctype html><title>Log in</title>')
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => server.closeAllConnections())
    onTestFinished(() => void server.close())
    writeFileSync(line.at('a'), pattern(size))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`

    const { code, out, err } = await line.run('put', '--retries', '1', 'a', url)

    expect(code).not.toBe(0)
    expect(out).not.toMatch(/complete|same/)
    expect(err).toMatch(/^partial-upload: a: \S/)
  })
})

test('a patch of more than 4 GiB does not send its size modulo 2^32', async () => {
  const size = 2 ** 32 + 5
  writeFileSync(line.at('large'), '')
  truncateSync(line.at('large'), size)
  let announced = 0
  const server = createServer((req, res) => {
    announced = Number(req.headers['content-length'])
    let received = 0
    req.on('data', (chunk: Buffer) => {
      received += chunk.byteLength
      // One MiB is enough to distinguish the two sizes. Reading all bytes would take minutes.
      if (received < MiB || res.headersSent) return
      res.writeHead(413, { 'Content-Type': 'application/problem+json' })
      res.end('{"title":"A MiB has arrived"}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`

  const { code, err } = await line.run('patch', url, '--at', '7', 'large')

  expect([code, err]).toEqual([1, 'partial-upload: A MiB has arrived (413)\n'])
  expect(announced).toBeGreaterThan(size)
})

describe('an address where no server listens', () => {
  async function deadPort(): Promise<number> {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    return port
  }

  test.each([
    ['put', (url: string) => ['put', 'film.mp4', url]],
    ['get', (url: string) => ['get', url, 'copy']],
    ['status', (url: string) => ['status', url]],
    ['patch', (url: string) => ['patch', url, '--at', '0', 'film.mp4']],
    ['rm', (url: string) => ['rm', url]],
  ])('fails %s after a few attempts', async (_name, args) => {
    const { code, err } = await line.run(...args(`http://127.0.0.1:${await deadPort()}/a.bin`))

    expect([code, err]).toEqual([1, expect.stringContaining('no server listens at this address')])
  })

  test('is waited for with --wait', async () => {
    const port = await deadPort()
    const url = `http://127.0.0.1:${port}/a.bin`

    const { child, outcome } = line.start('put', '--wait', 'film.mp4', url)
    const notes: string[] = []
    child.stdout.on('data', (text: Buffer) => notes.push(text.toString()))
    // By default the fourth failure is the last one.
    await expect
      .poll(() => notes.join('').split('trying again').length, { timeout: 60_000 })
      .toBe(5)
    child.kill('SIGINT')

    expect((await outcome).code).toBe(130)
  })
})
