/** The example that accepts files by their names and types. */
import type { Server } from 'node:http'

import type { StorageAdapter } from 'partial-upload'
import { memoryStorage } from 'partial-upload/storage/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createApp } from '../../examples/allow-list.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

let storage: StorageAdapter
let server: Server

beforeEach(async () => {
  storage = memoryStorage()
  server = await serve(createApp(storage))
})

afterEach(() => stop(server))

function put(key: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  const url = `http://127.0.0.1:${portOf(server)}/files/${key}`
  return fetch(url, { method: 'PUT', body: Buffer.from('abc'), headers })
}

const named = (name: string) => ({ 'Content-Disposition': `attachment; filename="${name}"` })

test.each<readonly [key: string, headers: Readonly<Record<string, string>>]>([
  ['a.png', {}],
  ['a.PNG', { 'Content-Type': 'Image/PNG' }],
  ['a.pdf', { 'Content-Type': 'application/pdf; version=1.7' }],
  ['a.jpg', named('holiday.jpg')],
])('accepts %s with %j', async (key, headers) => {
  expect((await put(key, headers)).status).toBe(201)
})

test.each<readonly [key: string, headers: Readonly<Record<string, string>>]>([
  ['a.html', {}],
  ['a', {}],
  ['a.png.html', {}],
  ['a.png', { 'Content-Type': 'text/html' }],
  ['a.png', { 'Content-Type': 'image/jpeg' }],
  ['a.png', named('a.html')],
  ['a.html', named('a.png')],
])('refuses %s with %j before anything is stored', async (key, headers) => {
  const answer = await put(key, headers)

  expect(answer.status).toBe(415)
  expect(await answer.json()).toMatchObject({
    detail: expect.stringContaining('.jpg, .png, .pdf') as unknown,
  })
  expect(await storage.head(key)).toBeNull()
})

test('refuses a type that only a later segment names', async () => {
  const url = `http://127.0.0.1:${portOf(server)}/files/a.png`
  const send = (range: string, data: string, type: string) =>
    fetch(url, {
      method: 'PUT',
      body: Buffer.from(data),
      headers: { 'Content-Range': range, 'Content-Type': type },
    })

  const first = await send('bytes 0-1/4', 'ab', 'image/png')
  const second = await send('bytes 2-3/4', 'cd', 'text/html')

  expect([first.status, second.status]).toEqual([202, 415])
  expect(await storage.head('a.png')).toBeNull()
})
