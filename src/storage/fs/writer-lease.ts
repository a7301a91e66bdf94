/**
 * The lease of a writer on its resource. Usually the lock of the key excludes other writers. The
 * lease protects against a caller that writes without a lock, and against a lock that was lost to
 * another process.
 */

import type { Lease } from './leases.ts'
import { changedMeanwhile } from './resource.ts'
import type { FsResource } from './resource.ts'

/**
 * A lease that is valid from the opening of a writer until the writer ends or another writer
 * changes the resource.
 */
export class WriterLease {
  readonly #resource: FsResource
  readonly #lease: Lease
  #ended = false

  /** Takes over `lease`, whose name is the hash of the resource's key. */
  constructor(resource: FsResource, lease: Lease) {
    this.#resource = resource
    this.#lease = lease
  }

  /** Whether the writer has ended. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Whether another writer has changed the resource, or another process has taken the lock. */
  get isInvalid(): boolean {
    return this.#lease.isInvalid
  }

  /**
   * Throws if the writer has ended or its lease is invalid. Each method of a writer calls it first.
   */
  assertActive(): void {
    if (this.#ended) throw new Error('the writer has ended')
    this.assertValid()
  }

  /**
   * Throws if the lease is invalid. Called again right before each change of the disk: an fsync or
   * a long write since the last check may have taken so long that another process has taken the
   * lock over.
   *
   * @throws UploadError `ERR_CONFLICT`
   */
  readonly assertValid = (): void => {
    if (this.#lease.isInvalid) throw changedMeanwhile()
  }

  /**
   * Invalidates the leases of all other writers of this process, before this one changes the
   * resource.
   */
  invalidateOthers(): void {
    this.#resource.leases.invalidate(this.#resource.paths.hash, 0, this.#lease)
  }

  /** Ends the lease. A second call does nothing. */
  end(): void {
    this.#ended = true
    this.#resource.leases.drop(this.#lease)
  }
}
