import { lutimes, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { expect, test } from 'vitest'

import type { ResourceState } from '../../../src/storage/adapter.ts'
import { BEGUN, FINISHED } from '../../../src/storage/contract/check.ts'
import { fsStorage } from '../../../src/storage/fs.ts'

test('a listing opens only the records of incomplete resources', async (context) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'listing-'))
  const staging = path.join(directory, '.partial-upload')
  const storage = fsStorage({ directory })
  const change = async (key: string, state: ResourceState) => {
    const writer = await storage.openWriter(key, {
      transaction: 'persist',
      replace: false,
      initial: BEGUN,
    })
    await writer.write(0, [Buffer.from('abc')])
    await writer.commit(state)
    const names = await readdir(staging)
    return names.filter((name) => name.endsWith('.json'))
  }
  const [finished = ''] = await change('finished', FINISHED)
  const both = await change('begun', BEGUN)
  const begun = both.find((name) => name !== finished) ?? ''
  const wasRead = async (name: string) => (await stat(path.join(staging, name))).atimeMs > 1000
  for (const name of both) await lutimes(path.join(staging, name), 1, new Date())

  const listed = []
  for await (const key of storage.listIncomplete?.() ?? []) listed.push(key)
  const read = { begun: await wasRead(begun), finished: await wasRead(finished) }
  await rm(directory, { recursive: true })

  expect(listed).toEqual(['begun'])
  if (!read.begun) context.skip('the file system does not record when a file is read')
  expect(read).toEqual({ begun: true, finished: false })
})
