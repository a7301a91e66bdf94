/**
 * Stores resources in a bucket of an object store with the API of Amazon S3. Any number of
 * processes may use one bucket: the store's conditional writes decide which of two writers is
 * first, so that no lock service is needed.
 */
import type { StorageAdapter } from './adapter.ts'
import { awsBucket } from './s3/bucket-aws.ts'
import { probeBucket } from './s3/bucket-probe.ts'
import type { AwsBucketOptions } from './s3/bucket-aws.ts'
import { bucketStorage } from './s3/store.ts'

/** Where and how resources are stored. */
export interface S3StorageOptions extends AwsBucketOptions {
  /**
   * Prefix of the names of finished objects, for example `files/`.
   *
   * @default empty
   */
  readonly prefix?: string
  /**
   * Prefix of the names of all other objects: the records, and the bytes of unfinished uploads. A
   * client that may read these objects can read all uploads. A key that would lead below the prefix
   * is refused: 400 `ERR_KEY`. An empty string throws a TypeError.
   *
   * @default '.partial-upload/'
   */
  readonly internalPrefix?: string
  /**
   * Number of bytes of an unfinished upload that are stored in one object, which later is one part
   * of the finished object; more than 5 MiB. In an upload of more than 1,000 of these objects the
   * store merges them into larger ones, because S3 allows 10,000 parts.
   *
   * @default 8 MiB
   */
  readonly partSize?: number
  /**
   * Approximate number of bytes that all uploads of this storage together keep in memory; more than
   * 0. Beyond it, uploads are stored earlier and in smaller objects, and their clients wait for the
   * store.
   *
   * @default 256 MiB
   */
  readonly memoryBudget?: number
  /**
   * Time after which the bytes that a client has sent are recorded, in milliseconds; more than 0. A
   * process that is killed loses at most the bytes of this time and the parts that were being sent.
   * A cut connection loses no byte.
   *
   * @default 1000
   */
  readonly flushAfter?: number
}

/** A storage in a bucket. */
export interface S3Storage extends StorageAdapter {
  /**
   * Checks that the store obeys the conditions of conditional writes, on which the safety of the
   * storage depends. It makes about twenty requests on small objects below `internalPrefix`. Call
   * it when the app starts.
   *
   * @throws Error that names the first condition which the store ignores.
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
    sse,
    redirect,
  } = options
  check(name !== '', 'bucket', name, 'the name of a bucket')
  check(internalPrefix !== '', 'internalPrefix', internalPrefix, 'a prefix')
  check(Number.isSafeInteger(partSize) && partSize > 5 * MIB, 'partSize', partSize, 'above 5 MiB')
  check(memoryBudget > 0, 'memoryBudget', memoryBudget, 'a positive number of bytes')
  check(flushAfter > 0, 'flushAfter', flushAfter, 'a positive number of milliseconds')
  check(timeout === undefined || timeout > 0, 'timeout', timeout, 'a positive number')
  const bucket = awsBucket({
    client,
    bucket: name,
    ...(timeout === undefined ? {} : { timeout }),
    ...(sse === undefined ? {} : { sse }),
    ...(redirect === undefined ? {} : { redirect }),
  })
  const storage = bucketStorage({
    bucket,
    prefix,
    internalPrefix,
    memoryBudget,
    limits: {
      partSize,
      minPartSize: 5 * MIB,
      maxCopySize: 256 * MIB,
      maxParts: 10_000,
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

/** Throws a TypeError with the name and the value of an option unless `isRight`. */
function check(isRight: boolean, name: string, value: unknown, expected: string): void {
  if (!isRight) throw new TypeError(`${name} must be ${expected}, not ${String(value)}`)
}
