/** Bounds work that costs much although the request for it is small. */
import { UploadError } from '../errors.ts'

/** Runs at most a number of pieces of work at the same time. */
export class WorkLimit {
  readonly #limit: number
  readonly #name: string
  #running = 0

  /** `name` is the plural that the error reports, such as `copies of large resources`. */
  constructor(limit: number, name: string) {
    this.#limit = limit
    this.#name = name
  }

  /**
   * Runs `work`.
   *
   * @throws UploadError `ERR_BUSY`, without running it, when the limit is reached.
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
      detail: `the server is busy with ${this.#limit} ${this.#name}, which is its limit; retry shortly`,
      headers: { 'Retry-After': '1' },
      members: { limit: this.#limit },
    })
  }
}
