import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'

import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { storageContract } from '../../src/storage/contract.ts'
import { fsStorage } from '../../src/storage/fs.ts'
import type { FsStorageOptions } from '../../src/storage/fs.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { BROKEN_ADAPTERS } from './broken-adapters.ts'

const directories: string[] = []

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true })
})

async function newFsStorage(fsync: Required<FsStorageOptions>['fsync']): Promise<StorageAdapter> {
  const directory = await mkdtemp(path.join(tmpdir(), 'partial-upload-'))
  directories.push(directory)
  return fsStorage({ directory, fsync })
}

describe.each([
  ['memoryStorage', memoryStorage],
  ['fsStorage, fsync: complete', () => newFsStorage('complete')],
  ['fsStorage, fsync: segment', () => newFsStorage('segment')],
  ['fsStorage, fsync: never', () => newFsStorage('never')],
])('%s', (_name, create) => {
  test.each(storageContract)('$name', async ({ run }) => {
    await expect(run(create)).resolves.toBeUndefined()
  })
})

describe('an adapter with a mistake is caught', () => {
  test.each(BROKEN_ADAPTERS)('$name', async ({ create, caughtBy }) => {
    const check = storageContract.find(({ name }) => name === caughtBy)

    await expect(check?.run(create)).rejects.toThrow(/expected/)
  })
})
