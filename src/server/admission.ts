/**
 * Limits the number of uploads that run at the same time, and refuses all once the app closes. The
 * counts are those of this process, so that N processes of an app admit N times as many uploads.
 */
import { UploadError } from '../errors.ts'

/** The largest number of uploads that run at the same time; 0 means no limit. */
export interface AdmissionLimits {
  /** Uploads of all owners together. Beyond it: 503 `ERR_BUSY`. */
  readonly maxUploads: number
  /** Uploads of one owner. Beyond it: 429 `ERR_TOO_MANY_UPLOADS`. */
  readonly maxUploadsPerOwner: number
}

/** An upload that was admitted. */
export interface RunningUpload {
  /** The owner that the app named; null if it named none. */
  readonly owner: string | null
  /**
   * Ends its content with `reason`. The bytes that have arrived are kept as after a lost
   * connection, so that the client can resume from them.
   */
  readonly stop: (reason: Error) => void
}

/** Counts the running uploads, in all and by owner. */
export class AdmissionControl {
  readonly #limits: AdmissionLimits
  readonly #running = new Set<RunningUpload>()
  readonly #countByOwner = new Map<string, number>()
  #isClosed = false
  /** Called whenever the last running upload has ended. `close` waits for it. */
  #onEmpty = (): void => undefined

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  /**
   * Admits an upload, and returns a function that ends it. The caller calls that function once,
   * when the work of the upload has ended and its answer is sent. The end of the connection alone
   * is too early, because a hook or a digest may still run, and clients that disconnect at once
   * could start any number of them.
   *
   * @throws UploadError `ERR_CLOSING`, `ERR_BUSY`, `ERR_TOO_MANY_UPLOADS`
   */
  admit(upload: RunningUpload): () => void {
    const { maxUploads, maxUploadsPerOwner } = this.#limits
    if (this.#isClosed) throw closing()
    if (maxUploads > 0 && this.#running.size >= maxUploads) throw busy(maxUploads)
    if (maxUploadsPerOwner > 0 && this.#countOf(upload.owner) >= maxUploadsPerOwner) {
      throw tooManyOfOwner(maxUploadsPerOwner)
    }
    this.#running.add(upload)
    this.#count(upload.owner, 1)
    return () => {
      this.#running.delete(upload)
      this.#count(upload.owner, -1)
      if (this.#running.size === 0) this.#onEmpty()
    }
  }

  /**
   * Refuses later uploads with 503 `ERR_CLOSING`, stops the running ones, and resolves when all
   * have ended or after `timeout` milliseconds. Several calls may overlap, for example after two
   * signals. Each of them resolves.
   */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true
    for (const { stop } of this.#running) stop(closing())
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      // Call the function of an earlier `close` as well, because both wait for the last upload.
      const earlier = this.#onEmpty
      this.#onEmpty = () => {
        earlier()
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #countOf(owner: string | null): number {
    return owner === null ? 0 : (this.#countByOwner.get(owner) ?? 0)
  }

  #count(owner: string | null, change: number): void {
    if (owner === null) return
    const count = this.#countOf(owner) + change
    // Without the removal the map would grow with every owner that ever uploaded.
    if (count === 0) this.#countByOwner.delete(owner)
    else this.#countByOwner.set(owner, count)
  }
}

function closing(): UploadError {
  return new UploadError('ERR_CLOSING', {
    detail: 'the server is shutting down; retry shortly from the offset that HEAD reports',
    headers: { 'Retry-After': '5', Connection: 'close' },
  })
}

function busy(limit: number): UploadError {
  return new UploadError('ERR_BUSY', {
    detail: `${limit} uploads are running, which is the limit of the server`,
    headers: { 'Retry-After': '5' },
    members: { limit },
  })
}

function tooManyOfOwner(limit: number): UploadError {
  return new UploadError('ERR_TOO_MANY_UPLOADS', {
    detail: `${limit} of your uploads are running, which is the limit at a time`,
    headers: { 'Retry-After': '5' },
    members: { limit },
  })
}
