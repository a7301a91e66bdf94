/**
 * Admits uploads up to the limits of the app, and none once the app closes. The counts live in this process
 * only: several processes of an app admit as many uploads each.
 */
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
  /**
   * Ends its content with `reason`. The bytes that have arrived are kept as after a lost connection, so that
   * the client can resume from them.
   */
  readonly stop: (reason: Error) => void
}

/** Counts the running uploads, in all and by owner. */
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
   * ended and its answer is sent: a hook or a digest may still use the server after the connection is closed.
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
   * Refuses later uploads, stops the running ones, and resolves when all have ended or `timeout` milliseconds
   * are over. Several calls may overlap: each resolves.
   */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true
    for (const { stop } of this.#running) stop(closing())
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      // An earlier call of `close` waits for the same moment.
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
