/** Data files that stay open between two segments of an upload. */
import { copyFile, mkdtemp, readFile, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import type { ResourceState, StorageAdapter } from '../../../src/storage/adapter.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

const BEGUN: ResourceState = {
  complete: false,
  everComplete: false,
  completeLength: 9,
  contentType: null,
  contentDisposition: null,
  reprDigest: null,
  owner: null,
}

let directory: string
let storage: StorageAdapter

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'open-files-'))
  storage = fsStorage({ directory })
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

async function append(position: number, text: string): Promise<void> {
  const options = { transaction: 'persist', replace: false, initial: BEGUN } as const
  const writer = await storage.openWriter('a', options)
  await writer.write(position, [Buffer.from(text)])
  await writer.commit(BEGUN)
}

it('a segment is written to the file that another program has put in the place of the open one', async () => {
  await append(0, 'abc')
  await append(3, 'def')
  const staging = path.join(directory, '.partial-upload')
  const name = (await readdir(staging)).find((entry) => entry.endsWith('.data')) ?? ''
  const data = path.join(staging, name)
  await rename(data, path.join(directory, 'moved'))
  await copyFile(path.join(directory, 'moved'), data)

  await append(6, 'gh')

  expect(await readFile(data, 'utf8')).toBe('abcdefgh')
  expect(await readFile(path.join(directory, 'moved'), 'utf8')).toBe('abcdef')
})
