/**
 * Resources in a bucket of an object store with the API of Amazon S3. Any number of processes may serve one bucket:
 * conditional writes of the store decide between writers, and no lock service is needed.
 */
import type { StorageAdapter } from './adapter.ts'
import { awsBucket } from './s3/bucket-aws.ts'
import { probeBucket } from './s3/bucket-probe.ts'
import type { AwsBucketOptions } from './s3/bucket-aws.ts'
import { bucketStorage } from './s3/store.ts'

/** Where and how resources are stored. */
export interface S3StorageOptions extends AwsBucketOptions {
  /**
   * Begins the key of each finished object, for example `files/`.
   *
   * @default empty
   */
  readonly prefix?: string
  /**
   * Begins the keys of all other objects: records and bytes of unfinished uploads. Whoever may read them reads the
   * uploads. A resource can't have such a key: 400 `ERR_KEY`.
   *
   * @default '.partial-upload/'
   */
  readonly internalPrefix?: string
  /**
   * Bytes of an unfinished upload in one object, which later is one part of the finished object. More than 5 MiB.
   *
   * @default 8 MiB
   */
  readonly partSize?: number
  /**
   * Bytes that all uploads of this storage together keep in memory. Beyond it they are stored in smaller objects.
   *
   * @default 256 MiB
   */
  readonly memoryBudget?: number
  /**
   * Milliseconds after which received bytes of an upload are recorded. A process that is killed loses at most
   * these bytes and the parts that are being sent; a cut connection loses nothing.
   *
   * @default 1000
   */
  readonly flushAfter?: number
}

/** A storage in a bucket. */
export interface S3Storage extends StorageAdapter {
  /**
   * Checks that the store keeps the conditions on which the safety of the storage rests, with about twenty requests
   * on small objects under `internalPrefix`. Call it when the app starts.
   *
   * @throws Error that names the first condition that the store does not keep.
   */
  probe(): Promise<void>
}

const MIB = 1024 * 1024
const MINUTE = 60_000

/**
 * Creates a storage over a bucket. It makes no request.
 *
 * @throws TypeError for a wrong option, naming it and its value.
 */
export function s3Storage(options: S3StorageOptions): S3Storage {
  const {
    client,
    bucket: name,
    prefix = '',
    internalPrefix = '.partial-upload/',
    partSize = 8 * MIB,
    memoryBudget = 256 * MIB,
    flushAfter = 1000,
    timeout,
  } = options
  check(name !== '', 'bucket', name, 'the name of a bucket')
  check(internalPrefix !== '', 'internalPrefix', internalPrefix, 'a prefix')
  check(Number.isSafeInteger(partSize) && partSize > 5 * MIB, 'partSize', partSize, 'above 5 MiB')
  check(memoryBudget > 0, 'memoryBudget', memoryBudget, 'a positive number of bytes')
  check(flushAfter > 0, 'flushAfter', flushAfter, 'a positive number of milliseconds')
  check(timeout === undefined || timeout > 0, 'timeout', timeout, 'a positive number')
  const own = { client, bucket: name }
  const bucket = awsBucket(timeout === undefined ? own : { ...own, timeout })
  const storage = bucketStorage({
    bucket,
    prefix,
    internalPrefix,
    memoryBudget,
    limits: {
      partSize,
      minPartSize: 5 * MIB,
      maxCopySize: 256 * MIB,
      maxInline: MIB / 4,
      flushAfter,
      concurrency: 4,
      publicationTimeout: 2000,
      readerAge: 15 * MINUTE,
      tombstoneAge: 60 * MINUTE,
      garbageAge: 24 * 60 * MINUTE,
    },
  })
  return { ...storage, probe: () => probeBucket(bucket, internalPrefix) }
}

function check(isRight: boolean, name: string, value: unknown, expected: string): void {
  if (!isRight) throw new TypeError(`${name} must be ${expected}, not ${String(value)}`)
}
