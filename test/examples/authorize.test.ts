import type { Server } from 'node:http'

import { memoryStorage } from 'partial-upload/storage/memory'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApp, type FileRow } from '../../examples/authorize.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

const storage = memoryStorage()
const rows = new Map<string, FileRow>()
const table = { save: async (row: FileRow) => void rows.set(row.key, row) }
let server: Server

beforeAll(async () => {
  server = await serve(createApp(storage, table))
})

afterAll(() => stop(server))

test('asks for a user name and password', async () => {
  const answer = await upload('nobody', 'a', 'bytes 0-4/5', 'hello')

  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toBe('Bearer')
})

test('gives each user a folder', async () => {
  await upload('ann', 'dir/file%20name', 'bytes 0-4/5', 'hello')
  await upload('bob', 'dir/file%20name', 'bytes 0-2/3', 'bye')

  expect(await download('ann', 'dir/file%20name')).toBe('hello')
  expect(await download('bob', 'dir/file%20name')).toBe('bye')
  expect(await storage.head('ann/dir/file name')).toMatchObject({ size: 5, complete: true })
})

test('saves a row for each finished file, with its user', async () => {
  const answer = await upload('ann', 'row', 'bytes 0-4/5', 'hello')

  expect(answer.status).toBe(201)
  expect(await answer.json()).toEqual({ key: 'ann/row', size: 5 })
  expect(rows.get('ann/row')).toEqual({ key: 'ann/row', name: null, size: 5, user: 'ann' })
})

test('confines a user to the folder', async () => {
  await upload('ann', 'secret', 'bytes 0-4/5', 'hello')

  for (const path of ['../ann/secret', '..%2Fann%2Fsecret', 'x%2F..%2F..%2Fann%2Fsecret']) {
    expect(await download('bob', path)).not.toBe('hello')
  }
})

test('refuses a name that is not UTF-8', async () => {
  const answer = await upload('bob', '%ff', 'bytes 0-4/5', 'hello')

  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({ code: 'ERR_KEY' })
})

test.each([
  ['too long', 'bytes 0-4/1048577', 413, 'a file may have at most 1048576 bytes'],
  ['of unknown length', 'bytes 0-4/*', 422, 'the length must be declared'],
])('refuses a file %s before it is created', async (_, range, status, detail) => {
  const answer = await upload('bob', 'big', range, 'hello')

  expect(answer.status).toBe(status)
  expect(await answer.json()).toMatchObject({ code: 'ERR_REFUSED', detail })
  expect(await storage.head('bob/big')).toBeNull()
})

test.each([
  ['an append', 'bytes 5-1048576/1048577', '!'.repeat(1048572)],
  ['a larger length', 'bytes */1048577', ''],
])('a finished file does not grow beyond the limit by %s', async (_, range, data) => {
  await upload('bob', 'grows', 'bytes 0-4/5', 'hello')

  const answer = await upload('bob', 'grows', range, data)

  expect(answer.status).toBe(409)
  expect(await storage.head('bob/grows')).toMatchObject({ size: 5, complete: true })
})

async function upload(user: string, name: string, range: string, data: string): Promise<Response> {
  return send(user, name, {
    method: 'PATCH',
    headers: { 'Content-Type': 'message/byteranges' },
    body: `Content-Range: ${range}\r\n\r\n${data}`,
  })
}

async function download(user: string, name: string): Promise<string> {
  const answer = await send(user, name, {})
  return answer.text()
}

async function send(user: string, name: string, request: RequestInit): Promise<Response> {
  const headers = { ...request.headers, Authorization: `Bearer ${user}-token` }
  return fetch(`http://127.0.0.1:${portOf(server)}/files/${name}`, { ...request, headers })
}
