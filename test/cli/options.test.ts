/** `--checksum`, `--verbose` and `--timeout`. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'

import { describe, expect, onTestFinished, test } from 'vitest'

import { MiB, pattern, useBench } from '../support/client/setup.ts'
import { useCommandLine } from '../support/cli/setup.ts'

const FILE = pattern(3 * MiB)
const SHA256 = createHash('sha256').update(FILE).digest('hex')

const line = useCommandLine()
const bench = useBench()

describe('put --checksum', () => {
  test('prints the SHA-256 that the server has as well', async () => {
    writeFileSync(line.at('a'), FILE)

    const file = await line.run('put', '--checksum', 'a', bench.url)
    const input = await line.runWith(FILE, 'put', '--checksum', '-', `${bench.url}2`)

    expect([file.code, input.code]).toEqual([0, 0])
    expect(file.out).toContain(`, sha-256 ${SHA256}, at ${bench.url}\n`)
    expect(input.out).toContain(`, sha-256 ${SHA256}, at ${bench.url}2\n`)
    expect(bench.proxy.seen.map(({ method }) => method)).toContain('HEAD')
  })

  test('fails if the server does not report a SHA-256', async () => {
    writeFileSync(line.at('a'), 'abc')
    // Accepts every upload like a server of this protocol, and computes no digests.
    let size: number | null = null
    const server = createServer((req, res) => {
      const fields = { ETag: '"a"', 'Upload-Length': 3 }
      if (req.method === 'HEAD' && size === null) res.writeHead(404)
      else res.writeHead(200, req.method === 'HEAD' ? { ...fields, 'Content-Length': 3 } : fields)
      req.resume().on('end', () => {
        if (req.method !== 'HEAD') size = 3
        res.end()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => server.closeAllConnections())
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`

    const { code, out, err } = await line.run('put', '--checksum', 'a', url)

    expect([code, out, err]).toEqual([
      1,
      '',
      'partial-upload: a: the file was sent, but the server does not report a SHA-256 to compare it with\n',
    ])
  })
})

test('--verbose prints each request and its status to the standard error, without secrets', async () => {
  writeFileSync(line.at('a'), 'abc')
  const url = bench.url.replace('//', '//ann:secret@')

  const put = await line.run('put', '-v', 'a', url)
  const get = await line.run('get', '-v', url, 'copy')

  expect(put.out).toMatch(/^a: complete, .+\n$/)
  expect(put.err).toBe(`> PATCH ${bench.url}
< 201 PATCH ${bench.url}
`)
  expect(get.err).toBe(`> GET ${bench.url}\n< 200 GET ${bench.url}\n`)
})

test.each([
  ['put', (url: string) => ['put', 'a', url]],
  ['get', (url: string) => ['get', url, 'copy']],
  ['status', (url: string) => ['status', url]],
])('%s --timeout 1 gives up on a server that is silent for a second', async (_name, args) => {
  // More bytes than the buffers of the system hold, so that the content itself stalls.
  writeFileSync(line.at('a'), pattern(20 * MiB))
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`

  const { code, err } = await line.run(...args(url), '--timeout', '1', '--retries', '0')

  expect([code, err]).toEqual([1, expect.stringContaining('the connection stalled')])
})
