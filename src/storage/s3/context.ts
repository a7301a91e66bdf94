/** What all parts of a storage on an object store work with. */
import type { MemoryBudget } from './budget.ts'
import type { Bucket } from './bucket.ts'
import type { Layout } from './layout.ts'
import type { PartLimits } from './plan.ts'
import type { Pins } from './pins.ts'

/** A bucket, the names in it, and the limits. */
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
  /** Longest content of a record beside its JSON line. */
  readonly maxInline: number
  /** Time after which bytes of a persist write are recorded, at the latest. */
  readonly flushAfter: number
  /** Requests that one writer has in flight. */
  readonly concurrency: number
  /** How long readers of an upload may read its data objects after its publication. */
  readonly readerAge: number
  /** Age at which a sweep removes tombstones: later, a delayed request can't bring a removed version back. */
  readonly tombstoneAge: number
  /** Age at which a sweep removes unnamed data objects and uploads: longer than any request takes. */
  readonly garbageAge: number
  /** How long a newcomer waits for a publication by another process before it aborts it. */
  readonly politeTime: number
}
