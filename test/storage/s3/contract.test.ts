import { describe, expect, test } from 'vitest'

import { storageContract } from '../../../src/storage/contract.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { SMALL_STORES, smallStore } from '../../support/s3/small-store.ts'

const CHECKS = storageContract.map((check) => [check.name, check] as const)
/**
 * Small limits are reached by a few kilobytes; `contract-variants.test.ts` stores megabytes with
 * them.
 */
const SMALL_CHECKS = CHECKS.filter(([name]) => !name.includes('megabytes'))
const LARGE = 8 * 1024 ** 2

describe.concurrent.each(Object.entries(SMALL_STORES))('%s', (_name, begin) => {
  test.each(SMALL_CHECKS)('%s', { timeout: 120_000 }, async (_check, { run }) => {
    await expect(run(begin())).resolves.toBeUndefined()
  })
})

describe.concurrent('a bucket with parts of 8 MiB', () => {
  const create = () =>
    smallStore(new FakeBucket(), {
      partSize: LARGE,
      minPartSize: 5 * 1024 ** 2,
      maxCopySize: 16 * 1024 ** 2,
      maxInline: 256 * 1024,
      flushAfter: 1000,
    })

  test.each(CHECKS)('%s', { timeout: 120_000 }, async (_check, { run }) => {
    await expect(run(create)).resolves.toBeUndefined()
  })
})
