/** The bucket, names, limits and shared state that every module of the S3 storage receives. */
import type { MemoryBudget } from './budget.ts'
import type { Bucket } from './bucket.ts'
import type { Layout } from './layout.ts'
import type { PartLimits } from './plan.ts'
import type { Pins } from './pins.ts'

/** A bucket, the names in it, the limits, and the state that all requests of a process share. */
export interface S3Context {
  readonly bucket: Bucket
  readonly layout: Layout
  readonly limits: Limits
  readonly budget: MemoryBudget
  readonly pins: Pins
}

/** Sizes in bytes and times in milliseconds. */
export interface Limits extends PartLimits {
  /** Length of a data object, which is a part of the finished object later. */
  readonly partSize: number
  /** Largest number of bytes that a record holds inline, after its JSON line. */
  readonly maxInline: number
  /** Longest time before received bytes of a persist write are recorded. A crash of the process loses newer ones. */
  readonly flushAfter: number
  /** Most requests that one writer has in flight. */
  readonly concurrency: number
  /** How long the data objects of an upload stay readable after its publication. */
  readonly readerAge: number
  /**
   * Age at which a sweep removes tombstones. It must be longer than a request may be delayed, because without the
   * tombstone a delayed request brings the removed version back.
   */
  readonly tombstoneAge: number
  /**
   * Age at which a sweep removes multipart uploads, and data objects that no record names. It must be longer than
   * any request takes, because a younger one may belong to a running write.
   */
  readonly garbageAge: number
  /** How long a writer waits for a publication by another process before it aborts that publication. */
  readonly publicationTimeout: number
}
