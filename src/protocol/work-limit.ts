/**
 * Limits the number of expensive operations that run at the same time, such as digests and copies.
 * A small request can start one, so that without a limit a client could occupy all threads and the
 * disk.
 */
import { UploadError } from '../errors.ts'

/**
 * Runs at most `limit` operations at the same time, and refuses further ones instead of queuing
 * them.
 */
export class WorkLimit {
  readonly #limit: number
  readonly #name: string
  #running = 0

  /**
   * @param name Plural of the operation for the detail of the error, such as `digests of large
   * content`.
   */
  constructor(limit: number, name: string) {
    this.#limit = limit
    this.#name = name
  }

  /**
   * Runs `work`, or refuses it when the limit is reached.
   *
   * @throws UploadError 503 `ERR_BUSY`; `work` has not run.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) throw this.#busy()
    this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
    }
  }

  #busy(): UploadError {
    return new UploadError('ERR_BUSY', {
      detail: `${this.#limit} ${this.#name} are running, which is the limit; retry shortly`,
      headers: { 'Retry-After': '1' },
      members: { limit: this.#limit },
    })
  }
}
