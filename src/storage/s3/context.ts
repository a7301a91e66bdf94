/** The bucket, names, limits and shared state that every module of the S3 storage receives. */
import type { MemoryBudget } from './budget.ts'
import type { Bucket } from './bucket.ts'
import type { Layout } from './layout.ts'
import type { PartLimits } from './plan.ts'
import type { Pins } from './pins.ts'

/**
 * A bucket, the names of its objects, the limits, and the state that all requests of a process
 * share.
 */
export interface S3Context {
  /** The operations of the object store. */
  readonly bucket: Bucket
  /** The names of the objects. */
  readonly layout: Layout
  readonly limits: Limits
  /** The memory that all writers use for bytes that are not stored yet. */
  readonly budget: MemoryBudget
  /** The readers of finished objects in this process. */
  readonly pins: Pins
}

/** Sizes in bytes and times in milliseconds. */
export interface Limits extends PartLimits {
  /**
   * Length of a data object, which holds bytes of an upload and becomes one part of the finished
   * object.
   */
  readonly partSize: number
  /** Largest number of bytes that a record holds inline, after its JSON line. */
  readonly maxInline: number
  /**
   * Longest time before received bytes of a persist write are recorded. A crash of the process
   * loses newer ones.
   */
  readonly flushAfter: number
  /** Largest number of requests that one writer makes at the same time. */
  readonly concurrency: number
  /**
   * Time after the publication of an upload for which its data objects stay, because readers may be
   * reading them.
   */
  readonly readerAge: number
  /**
   * Age at which a sweep removes tombstones, the records of removed resources. It must be longer
   * than a request may be delayed on its way to the store: without the tombstone, a delayed write
   * would bring the removed version back.
   */
  readonly tombstoneAge: number
  /**
   * Age at which a sweep removes multipart uploads, and data objects that no record names. It must
   * be longer than any request takes, because a younger one may belong to a writer that is still
   * active.
   */
  readonly garbageAge: number
  /**
   * Time for which a writer waits while another process publishes the resource, before it aborts
   * that publication. The other process may have died.
   */
  readonly publicationTimeout: number
}
