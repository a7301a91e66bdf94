/** The contract of storages, with the buckets of real object stores. */
import { beforeAll, describe, expect, test } from 'vitest'

import type { StorageAdapter } from '../../src/storage/adapter.ts'
import { storageContract } from '../../src/storage/contract.ts'
import { s3Storage } from '../../src/storage/s3.ts'
import { title } from '../support/faults/server.ts'
import { ENGINES, LONGEST_START } from '../support/s3/engines.ts'
import type { OpenEngine } from '../support/s3/engines.ts'

/** `S3_CONTRACT=all` adds versioned buckets, and the other stores: some minutes each. */
const IS_ALL = process.env['S3_CONTRACT'] === 'all'
const BUCKETS = [false, true].flatMap((versioned) =>
  ENGINES.filter(({ name }) => (name === 'rgw' && !versioned) || IS_ALL).map((engine) => ({
    ...engine,
    kind: versioned ? 'with versions' : 'without versions',
    versioned,
  })),
)

// The checks are concurrent, because each of them mostly waits for the store.
describe.concurrent.each(BUCKETS)('a bucket of $name $kind', ({ missing, open, versioned }) => {
  let engine: OpenEngine
  beforeAll(async () => {
    if (missing === null) engine = await open({ versioned })
  }, LONGEST_START)

  let count = 0
  /** An empty storage: each has a prefix of its own in the bucket. */
  function create(): StorageAdapter {
    const { newClient, bucket, prefix } = engine
    count += 1
    const internalPrefix = `${prefix}.partial-upload/`
    return s3Storage({ client: newClient(), bucket, prefix: `${prefix}${count}/`, internalPrefix })
  }

  for (const { name, run } of storageContract) {
    test.skipIf(missing !== null)(title(name, missing), { timeout: 180_000 }, async () => {
      await expect(run(create)).resolves.toBeUndefined()
    })
  }
})
