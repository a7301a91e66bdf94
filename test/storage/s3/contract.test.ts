import { describe, expect, test } from 'vitest'

import { storageContract } from '../../../src/storage/contract.ts'
import { FakeBucket } from '../../support/s3/fake-bucket.ts'
import { alternating, smallStore } from '../../support/s3/small-store.ts'

const CHECKS = storageContract.map((check) => [check.name, check] as const)
const LARGE = 8 * 1024 ** 2

const STORES = {
  'in memory': () => smallStore(bucket()),
  'with versions': () => smallStore(bucket(true)),
  'with parts of 8 MiB': () =>
    smallStore(new FakeBucket(), {
      partSize: LARGE,
      minPartSize: 5 * 1024 ** 2,
      maxCopySize: 16 * 1024 ** 2,
      maxInline: 256 * 1024,
      flushAfter: 1000,
    }),
}

describe.concurrent.each(Object.entries(STORES))('a bucket %s', (_name, create) => {
  test.each(CHECKS)('%s', async (_check, { run }) => {
    await expect(run(create)).resolves.toBeUndefined()
  })
})

// A reader in another process loses the bytes of an object that is replaced, unless the bucket has versions.
describe.concurrent('two storages on one bucket with versions', () => {
  test.each(CHECKS)('%s', async (_check, { run }) => {
    const shared = bucket(true)
    const create = () => alternating(smallStore(shared), smallStore(shared))

    await expect(run(create)).resolves.toBeUndefined()
  })
})

function bucket(versioned = false): FakeBucket {
  return new FakeBucket({ minPartSize: 65_536, versioned, pageSize: 7 })
}
