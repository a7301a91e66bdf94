/** The time in which a writer is the one to change its resource. */

import type { Lease } from './leases.ts'
import { changedMeanwhile } from './resource.ts'
import type { FsResource } from './resource.ts'

/** A writer's turn: from its opening until it has ended, or another one has changed the resource. */
export class WriterLease {
  readonly #resource: FsResource
  readonly #lease: Lease
  #ended = false

  /** Takes over `hold`, which tells when another writer has changed the resource. */
  constructor(resource: FsResource, lease: Lease) {
    this.#resource = resource
    this.#lease = lease
  }

  /** The writer has ended. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Another writer has changed the resource. */
  get isInvalid(): boolean {
    return this.#lease.isInvalid
  }

  /** Throws unless the resource is still this writer's to change. */
  assertActive(): void {
    if (this.#ended) throw new Error('the writer has ended')
    this.assertValid()
  }

  /** Throws if another writer has changed the resource or has taken over the lock. */
  readonly assertValid = (): void => {
    if (this.#lease.isInvalid) throw changedMeanwhile()
  }

  /** Tells the other writers of this process, if there are any, that they are too late. */
  invalidateOthers(): void {
    this.#resource.leases.invalidate(this.#resource.paths.hash, 0, this.#lease)
  }

  /** Ends the turn. */
  end(): void {
    this.#ended = true
    this.#resource.leases.drop(this.#lease)
  }
}
