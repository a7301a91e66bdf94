/** Megabytes in buckets with small limits: hundreds of parts. */
import { describe, expect, test } from 'vitest'

import { storageContract } from '../../../src/storage/contract.ts'
import { SMALL_STORES } from '../../support/s3/small-store.ts'

const CHECKS = storageContract
  .filter(({ name }) => name.includes('megabytes'))
  .map((check) => [check.name, check] as const)

describe.concurrent.each(Object.entries(SMALL_STORES))('%s', (_name, begin) => {
  test.each(CHECKS)('%s', { timeout: 120_000 }, async (_check, { run }) => {
    await expect(run(begin())).resolves.toBeUndefined()
  })
})
