/**
 * The lease of a writer on its resource. The lock of the key usually keeps other writers away. The lease
 * guards against a caller without a lock, and against a lock that another process has taken over.
 */

import type { Lease } from './leases.ts'
import { changedMeanwhile } from './resource.ts'
import type { FsResource } from './resource.ts'

/** Valid from the opening of a writer until it ends, or until another writer changes the resource. */
export class WriterLease {
  readonly #resource: FsResource
  readonly #lease: Lease
  #ended = false

  /** Takes over `lease`, which is on the hash of the resource's key. */
  constructor(resource: FsResource, lease: Lease) {
    this.#resource = resource
    this.#lease = lease
  }

  /** Whether `end` was called. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Whether another writer has changed the resource, or another process has the lock. */
  get isInvalid(): boolean {
    return this.#lease.isInvalid
  }

  /** Throws if the writer has ended or its lease is invalid: called at the start of each method. */
  assertActive(): void {
    if (this.#ended) throw new Error('the writer has ended')
    this.assertValid()
  }

  /**
   * Throws if the lease is invalid. Called again before each change of the disk, because an fsync in
   * between may take longer than a lock lives.
   */
  readonly assertValid = (): void => {
    if (this.#lease.isInvalid) throw changedMeanwhile()
  }

  /** Invalidates the other writers of this process, because this one is about to change the resource. */
  invalidateOthers(): void {
    this.#resource.leases.invalidate(this.#resource.paths.hash, 0, this.#lease)
  }

  /** Ends the lease. Does nothing the second time. */
  end(): void {
    this.#ended = true
    this.#resource.leases.drop(this.#lease)
  }
}
