import type { Server } from 'node:http'

import type { StorageAdapter } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createApp } from '../../examples/on-complete.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

const PNG = Buffer.from('\x89PNG\r\n\x1a\nthe rest of the image', 'latin1')

let storage: StorageAdapter
let server: Server

beforeEach(async () => {
  storage = memoryStorage()
  server = await serve(createApp(storage))
})

afterEach(() => stop(server))

test('publishes an image, and answers with its URL', async () => {
  const started = await patch('a.png', 0, PNG.subarray(0, 4), PNG.length)
  const finished = await patch('a.png', 4, PNG.subarray(4), PNG.length)

  expect(started.status).toBe(202)
  expect(finished.status).toBe(201)
  expect(await finished.json()).toEqual({ key: 'a.png', size: PNG.length })
  expect(await storage.head('a.png')).toMatchObject({ complete: true, size: PNG.length })
})

test.each(['<svg xmlns="http://www.w3.org/2000/svg"/>', 'tiny'])(
  'refuses %s, and removes it',
  async (text) => {
    const data = Buffer.from(text)
    await patch('a.png', 0, data.subarray(0, 2), data.length)

    const refused = await patch('a.png', 2, data.subarray(2), data.length)

    expect(refused.status).toBe(422)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(await refused.json()).toMatchObject({ detail: 'expected a PNG image' })
    expect(await storage.head('a.png')).toBeNull()
  },
)

test('refuses another type, and a file that is too large, before anything is stored', async () => {
  const headers = 'Content-Range: bytes 0-3/4\r\nContent-Type: text/html\r\n'

  const html = await send('a.png', `${headers}\r\n<p>a`)
  const large = await patch('b.png', 0, PNG, 10 * 1024 ** 2 + 1)

  expect([html.status, large.status]).toEqual([415, 400])
  expect([await storage.head('a.png'), await storage.head('b.png')]).toEqual([null, null])
})

test('keeps the old image when a change would break it', async () => {
  await patch('a.png', 0, PNG, PNG.length)
  const before = await storage.head('a.png')

  const refused = await patch('a.png', 0, Buffer.from('GIF89a'), PNG.length)

  expect(refused.status).toBe(422)
  expect(await storage.head('a.png')).toEqual(before)
})

async function patch(name: string, start: number, data: Buffer, length: number): Promise<Response> {
  const range = `bytes ${start}-${start + data.length - 1}/${length}`
  return send(name, Buffer.concat([Buffer.from(`Content-Range: ${range}\r\n\r\n`), data]))
}

async function send(name: string, body: string | Buffer): Promise<Response> {
  const headers = { 'Content-Type': 'message/byteranges' }
  return fetch(`http://127.0.0.1:${portOf(server)}/images/${name}`, {
    method: 'PATCH',
    headers,
    body,
  })
}
