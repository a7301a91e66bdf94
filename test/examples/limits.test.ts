import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import express from 'express'
import { memoryStorage } from 'partial-upload/storage/memory'
import { expect, test } from 'vitest'

import { createUploads } from '../../examples/limits.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

const example = fileURLToPath(new URL('../../examples/limits.ts', import.meta.url))

test('enforces the limits of an address, and reports when an upload expires', async () => {
  const server = await serve(express().use('/files', createUploads(memoryStorage())))
  const origin = `http://127.0.0.1:${portOf(server)}`

  const begun: Response[] = []
  for (let file = 0; file < 20; file += 1) begun.push(await begin(`${origin}/files/${file}`, 1000))
  const oneMore = await begin(`${origin}/files/more`, 1000)
  const another = await begin(`${origin}/files/0`, 1000)
  const tooLarge = await begin(`${origin}/files/large`, 10 * 1024 ** 3 + 1)

  expect(new Set(begun.map(({ status }) => status))).toEqual(new Set([202]))
  expect(begun[0]?.headers.get('upload-limit')).toMatch(/^max-age=60(?:4800|4799)$/)
  expect(oneMore.status).toBe(429)
  expect(await oneMore.json()).toMatchObject({ code: 'ERR_TOO_MANY_UPLOADS', limit: 20 })
  expect(another.status).toBe(202)
  expect(await tooLarge.json()).toMatchObject({ code: 'ERR_SIZE_LIMIT' })
  await stop(server)
})

test('stops on SIGTERM once it has stored and answered the uploads in progress', async () => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'partial-upload-limits-'))
  const tsx = import.meta.resolve('tsx')
  const args = ['--conditions=@partial-upload/source', '--import', tsx, example]
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(/port: (\d+)/.exec(line.toString())?.[1])
  const upload = request({
    port,
    path: '/files/a',
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges', 'Transfer-Encoding': 'chunked' },
  })
  upload.write('Content-Range: bytes 0-9/10\r\n\r\nabc')
  await expect.poll(() => received(port)).toBe('3')

  child.kill('SIGTERM')

  const exit = once(child, 'exit')
  const [response] = (await once(upload, 'response')) as [IncomingMessage]
  expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '5'])
  expect(await exit).toEqual([0, null])
  await rm(cwd, { recursive: true })
})

async function begin(url: string, length: number): Promise<Response> {
  return fetch(url, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: `Content-Range: bytes 0-2/${length}\r\n\r\nabc`,
  })
}

async function received(port: number): Promise<string | null> {
  const { headers } = await fetch(`http://127.0.0.1:${port}/files/a`, { method: 'HEAD' })
  return headers.get('content-length')
}
