/** The time in which a writer is the one to change its resource. */

import type { Hold } from './leases.ts'
import { changedMeanwhile } from './resource.ts'
import type { FsResource } from './resource.ts'

/** A writer's turn: from its opening until it has ended, or another one has changed the resource. */
export class Turn {
  readonly #resource: FsResource
  readonly #hold: Hold
  #ended = false

  /** Takes over `hold`, which tells when another writer has changed the resource. */
  constructor(resource: FsResource, hold: Hold) {
    this.#resource = resource
    this.#hold = hold
  }

  /** The writer has ended. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /** Another writer has changed the resource. */
  get isLost(): boolean {
    return this.#hold.lost
  }

  /** Throws unless the resource is still this writer's to change. */
  assert(): void {
    if (this.#ended) throw new Error('the writer has ended')
    this.assertValid()
  }

  /** Throws if another writer has changed the resource or has taken over the lock. */
  readonly assertValid = (): void => {
    if (this.#hold.lost) throw changedMeanwhile()
  }

  /** Tells the other writers of this process, if there are any, that they are too late. */
  claim(): void {
    this.#resource.holds.lose(this.#resource.paths.hash, 0, this.#hold)
  }

  /** Ends the turn. */
  end(): void {
    this.#ended = true
    this.#resource.holds.drop(this.#hold)
  }
}
