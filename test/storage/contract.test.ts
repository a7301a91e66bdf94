import { tmpdir } from 'node:os'

import { describe, expect, test } from 'vitest'

import { storageContract } from '../../src/storage/contract.ts'
import { STORES, withDirectory } from '../support/storage/stores.ts'
import { BROKEN_ADAPTERS } from './broken-adapters.ts'

const DEFAULTS = STORES.flatMap(({ variants }) => Object.entries(variants).slice(0, 1))
const CHECKS = storageContract.map((check) => [check.name, check] as const)
const MISTAKES = BROKEN_ADAPTERS.map((adapter) => [adapter.name, adapter] as const)

// The checks run on a real disk, which reuses inode numbers and stores blocks late. They wait for
// it most of the time, each on a store of its own, so that several run at once.
describe.concurrent.each(DEFAULTS)('%s', (_name, open) => {
  test.each(CHECKS)('%s', { timeout: 120_000 }, async (_name, { run }) => {
    await withDirectory(tmpdir(), (directory) =>
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
