/** The files of a download whose command was killed. */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { openPart, PartFile } from '../../src/cli/part-file.ts'

const URL = 'http://localhost/files/a'

let folder: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'partial-upload-part-'))
  file = path.join(folder, 'a')
  await writeFile(`${file}.part`, 'old')
  await writeFile(`${file}.part.json`, JSON.stringify({ url: URL, etag: '"old"', size: 6 }))
})

afterEach(() => rm(folder, { recursive: true }))

test('continues after the bytes of the same version', async () => {
  const part = await openPart(file, URL, false)

  expect(part).toMatchObject({ version: { etag: '"old"', size: 6 }, position: 3 })
  await part.close()
})

test('treats no byte of the old version as one of the new version after a kill', async () => {
  const handle = await open(`${file}.part`, 'r+')
  handle.truncate = () => Promise.reject(new Error('killed'))
  const job = { file, url: URL, overwrite: false }
  const part = new PartFile(handle, job, { etag: '"old"', size: 6 }, 3)
  await expect(part.begin({ etag: '"new"', size: 6 })).rejects.toThrow('killed')
  await handle.close()

  const next = await openPart(file, URL, false)
  expect(next).toMatchObject({ version: null, position: 0 })
  await next.close()
})
