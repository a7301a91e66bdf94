import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

let directory: string
let server: ChildProcess

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-quickstart-'))
})

afterEach(async () => {
  const exit = once(server, 'exit')
  server.kill()
  await exit
  await rm(directory, { recursive: true })
})

test('the quickstart stores uploads in ./uploads', async () => {
  const port = await start()

  const created = await fetch(`http://127.0.0.1:${port}/files/a.txt`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: 'Content-Range: bytes 0-4/5\r\n\r\nhello',
  })

  expect(created.status).toBe(201)
  expect(await readFile(path.join(directory, 'uploads/a.txt'), 'utf8')).toBe('hello')
}, 30_000)

/** Starts the example in a directory of its own, and returns its port. */
async function start(): Promise<string> {
  const tsx = import.meta.resolve('tsx')
  const example = fileURLToPath(new URL('../../examples/quickstart.ts', import.meta.url))
  const conditions = '--conditions=@partial-upload/source'
  const child = spawn(process.execPath, [conditions, '--import', tsx, example], {
    cwd: directory,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  server = child
  for await (const output of child.stdout) {
    const [, port] = /port: (\d+)/.exec(String(output)) ?? []
    if (port !== undefined) return port
  }
  throw new Error('the quickstart ended without an address')
}
