/** The listing of examples/list.ts, over a directory of the file store. */
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { fsStorage } from 'partial-upload/storage/fs'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApp } from '../../examples/authorize.ts'
import { listDirectory, listFiles } from '../../examples/list.ts'
import { portOf, serve, stop } from '../support/examples/serve.ts'

let directory: string
let server: Server

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-list-'))
  const table = { save: async () => undefined }
  server = await serve(createApp(fsStorage({ directory }), table, directory))
  await upload('ann', 'film', 'bytes 0-4/10')
  await upload('ann', '.partial-upload/x', 'bytes 0-4/5')
  await upload('bob', 'film', 'bytes 0-4/20')
  await upload('bob', 'dir/photo', 'bytes 0-4/5')
})

afterAll(async () => {
  await stop(server)
  await rm(directory, { recursive: true })
})

test.each([
  ['ann', [complete('.partial-upload/x'), { key: 'film', size: 5, length: 10, complete: false }]],
  ['bob', [complete('dir/photo'), { key: 'film', size: 5, length: 20, complete: false }]],
])('the route lists the files of %s alone, finished or not', async (user, files) => {
  const answer = await send(user, 'list', {})

  expect(sorted(await answer.json())).toMatchObject(files)
})

test('without a folder all files are listed, including those in a folder .partial-upload of a user', async () => {
  const files = await listFiles(listDirectory(directory), fsStorage({ directory }))

  expect(sorted(files).map(({ key }) => key)).toEqual([
    'ann/.partial-upload/x',
    'ann/film',
    'bob/dir/photo',
    'bob/film',
  ])
})

test('a user with the name of the folder for unfinished files sees none of them', async () => {
  const files = listDirectory(directory, '.partial-upload/')

  expect((await files.next()).done).toBe(true)
})

function complete(key: string) {
  return { key, size: 5, length: 5, complete: true }
}

function sorted(files: unknown): readonly { readonly key: string }[] {
  const list = files as { readonly key: string }[]
  return list.toSorted((a, b) => a.key.localeCompare(b.key))
}

async function upload(user: string, name: string, range: string): Promise<void> {
  const headers = { 'Content-Type': 'message/byteranges' }
  const body = `Content-Range: ${range}\r\n\r\nhello`
  const answer = await send(user, `files/${name}`, { method: 'PATCH', headers, body })
  expect(answer.ok).toBe(true)
}

async function send(user: string, name: string, request: RequestInit): Promise<Response> {
  const headers = { ...request.headers, Authorization: `Bearer ${user}-token` }
  return fetch(`http://127.0.0.1:${portOf(server)}/${name}`, { ...request, headers })
}
