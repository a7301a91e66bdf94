import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { storageContract } from '../../src/storage/contract.ts'
import { fsStorage } from '../../src/storage/fs.ts'
import { memoryStorage } from '../../src/storage/memory.ts'

const directories: string[] = []

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'partial-upload-'))
  directories.push(directory)
  return directory
}

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true })
})

const STORAGES: Readonly<Record<string, () => StorageAdapter | Promise<StorageAdapter>>> = {
  memoryStorage,
  'fsStorage with fsync complete': async () => fsStorage({ directory: await newDirectory() }),
  'fsStorage with fsync segment': async () =>
    fsStorage({ directory: await newDirectory(), fsync: 'segment' }),
  'fsStorage with fsync never': async () =>
    fsStorage({ directory: await newDirectory(), fsync: 'never' }),
}

for (const [name, create] of Object.entries(STORAGES)) {
  describe(name, () => {
    for (const check of storageContract) test(check.name, () => check.run(create))
  })
}
