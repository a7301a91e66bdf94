/** The storage contract over the settings that are not the default of a store. */
import { describe, expect, test } from 'vitest'

import { storageContract } from '../../src/storage/contract.ts'
import { FAST_DIRECTORY, STORES, withDirectory } from '../support/storage/stores.ts'

const VARIANTS = STORES.flatMap(({ variants }) => Object.entries(variants).slice(1))
const CHECKS = storageContract.map((check) => [check.name, check] as const)

// They differ in what they flush, which a file system in memory shows as well as a disk.
describe.concurrent.each(VARIANTS)('%s', (_name, open) => {
  test.each(CHECKS)('%s', { timeout: 120_000 }, async (_name, { run }) => {
    await withDirectory(FAST_DIRECTORY, (directory) =>
      expect(run(() => open(directory))).resolves.toBeUndefined(),
    )
  })
})
