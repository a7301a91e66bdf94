/** Admits uploads up to the limits of the app, and none once the app closes. */
import { UploadError } from '../errors.ts'

/** Uploads at the same time; 0: no limit. */
export interface AdmissionLimits {
  /** Of all owners together. */
  readonly maxUploads: number
  /** Of one owner. */
  readonly maxUploadsPerOwner: number
}

/** An upload under way. */
export interface RunningUpload {
  /** The owner that the app named; null if it named none. */
  readonly owner: string | null
  /** Ends its content with `reason`; what has arrived is kept as after a cut. */
  readonly stop: (reason: Error) => void
}

/** Counts the uploads that run. */
export class AdmissionControl {
  readonly #limits: AdmissionLimits
  readonly #running = new Set<RunningUpload>()
  readonly #countByOwner = new Map<string, number>()
  #isClosed = false
  #onEmpty = (): void => undefined

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  /**
   * Admits an upload. The caller calls the returned function once, when the work of the upload has
   * ended and its answer is sent.
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

  /** Stops admitting, stops what runs, and resolves when all has ended or the timeout is over. */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true
    for (const { stop } of this.#running) stop(closing())
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
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
