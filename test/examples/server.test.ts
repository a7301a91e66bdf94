import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { freePort } from '../support/free-port.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let directory: string
let server: ChildProcess
let url: string

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-start-'))
  await start()
}, 30_000)

afterEach(async () => {
  await stop('SIGTERM')
  await rm(directory, { recursive: true })
})

test('npm start prints the address and stores uploads in the directory', async () => {
  const created = await fetch(`${url}files/a/b.txt`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: 'Content-Range: bytes 0-4/5\r\n\r\nhello',
  })
  const stored = await readFile(path.join(directory, 'a/b.txt'), 'utf8')

  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
  expect(created.status).toBe(201)
  expect(stored).toBe('hello')
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends the server cleanly', async (signal) => {
  await fetch(`${url}files/a`)

  const code = await stop(signal)

  expect(code).toBe(0)
  await expect(fetch(url)).rejects.toThrow('fetch failed')
})

test('a signal ends the server while an upload is under way, and keeps what arrived', async () => {
  const header = 'Content-Range: bytes 0-99999/100000\r\n\r\n'
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  socket.write(
    'PATCH /files/cut HTTP/1.1\r\nHost: a\r\nContent-Type: message/byteranges\r\n' +
      `Content-Length: ${header.length + 100_000}\r\nExpect: 100-continue\r\n\r\n`,
  )
  await once(socket, 'data')
  socket.write(`${header}hello`)
  const closed = once(socket, 'close')

  const code = await stop('SIGTERM')
  await closed
  await start()
  const resumed = await fetch(`${url}files/cut`, { method: 'HEAD' })

  expect(code).toBe(0)
  expect(resumed.status).toBe(299)
  expect(resumed.headers.get('content-length')).toBe('5')
}, 30_000)

test('npm start listens at the port in PORT', async () => {
  await stop('SIGTERM')
  const port = await freePort()

  await start([], { PORT: String(port) })

  expect(url).toBe(`http://127.0.0.1:${port}/`)
}, 30_000)

test('npm start prints its options for --help', async () => {
  await stop('SIGTERM')

  await start(['--help'])

  // The first line of the output.
  expect(url).toContain('--directory DIR')
}, 30_000)

async function start(options = ['--port', '0'], variables: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn('npm', ['start', '--silent', '--', '--directory', directory, ...options], {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  server = child
  url = await firstLine(child.stdout)
}

async function firstLine(output: Readable): Promise<string> {
  for await (const line of createInterface(output)) return line
  throw new Error('npm start ended without a line')
}

async function stop(signal: NodeJS.Signals): Promise<number | null> {
  if (server.exitCode === null && server.signalCode === null) {
    const exit = once(server, 'exit')
    server.kill(signal)
    await exit
  }
  return server.exitCode
}
