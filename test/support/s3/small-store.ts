/**
 * Creates storages over a bucket with small limits, so that a few kilobytes reach every code path
 * for large files.
 */
import type { StorageAdapter } from '../../../src/storage/adapter.ts'
import type { Bucket } from '../../../src/storage/s3/bucket.ts'
import type { Limits } from '../../../src/storage/s3/context.ts'
import { bucketStorage } from '../../../src/storage/s3/store.ts'
import { FakeBucket } from './fake-bucket.ts'

/** Limits of some kilobytes. A bucket for them has parts of at least 64 KiB. */
const SMALL: Limits = {
  partSize: 131_072,
  minPartSize: 65_536,
  maxCopySize: 300_000,
  maxParts: 100,
  maxInline: 16_384,
  flushAfter: 1000,
  concurrency: 3,
  publicationTimeout: 0,
  readerAge: 1000,
  tombstoneAge: 60_000,
  garbageAge: 3_600_000,
}

/** A storage over a bucket with small limits. */
export function smallStore(
  bucket: Bucket,
  limits: Partial<Limits> = {},
  prefix = 'files/',
): StorageAdapter {
  return bucketStorage({
    bucket,
    prefix,
    internalPrefix: '.partial-upload/',
    memoryBudget: 1_000_000,
    limits: { ...SMALL, ...limits },
  })
}

/**
 * A storage whose methods run in turn on each of two instances, as requests do behind a load
 * balancer.
 */
function alternating(first: StorageAdapter, second: StorageAdapter): StorageAdapter {
  let count = 0
  const next = (): StorageAdapter => {
    count += 1
    return count % 2 === 0 ? first : second
  }
  return {
    head: (key) => next().head(key),
    openReader: (key) => next().openReader(key),
    openWriter: (key, options) => next().openWriter(key, options),
    remove: (key, options) => next().remove(key, options),
    listIncomplete: (options) => next().listIncomplete?.(options) ?? none(),
  }
}

async function* none(): AsyncGenerator<string> {}

/**
 * Storages with small limits, by the bucket that they are on. Each function begins with new
 * buckets.
 */
export const SMALL_STORES: Readonly<Record<string, () => () => StorageAdapter>> = {
  'a bucket in memory': () => () => smallStore(smallBucket()),
  'a bucket with versions': () => () => smallStore(smallBucket(true)),
  // A reader in another process loses the bytes of an object that is replaced, unless the bucket
  // has versions.
  'two storages on one bucket with versions': () => {
    const shared = smallBucket(true)
    return () => alternating(smallStore(shared), smallStore(shared))
  },
}

function smallBucket(versioned = false): FakeBucket {
  return new FakeBucket({ minPartSize: 65_536, versioned, pageSize: 7 })
}
