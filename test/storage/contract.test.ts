import { tmpdir } from 'node:os'

import { describe, expect, test } from 'vitest'

import { storageContract } from '../../src/storage/contract.ts'
import { FAST_DIRECTORY, STORES, withDirectory } from '../support/storage/stores.ts'
import { BROKEN_ADAPTERS } from './broken-adapters.ts'

// The default of each store runs on a real disk, which reuses inode numbers and stores blocks late. The other
// variants differ in what they flush, which a file system in memory shows as well.
const OPENED = STORES.flatMap(({ variants }) =>
  Object.entries(variants).map(
    ([name, open], index) =>
      [name, { open, parent: index === 0 ? tmpdir() : FAST_DIRECTORY }] as const,
  ),
)
const CHECKS = storageContract.map((check) => [check.name, check] as const)
const MISTAKES = BROKEN_ADAPTERS.map((adapter) => [adapter.name, adapter] as const)

// The checks wait for the disk most of the time, each on a store of its own, so that several run at once.
describe.concurrent.each(OPENED)('%s', (_name, { open, parent }) => {
  test.each(CHECKS)('%s', async (_name, { run }) => {
    await withDirectory(parent, (directory) =>
      expect(run(() => open(directory))).resolves.toBeUndefined(),
    )
  })
})

describe('an adapter with a mistake is caught', () => {
  test.each(MISTAKES)('%s', async (_name, { create, caughtBy }) => {
    const check = storageContract.find(({ name }) => name === caughtBy)

    await expect(check?.run(create)).rejects.toThrow(/expected/)
  })
})
