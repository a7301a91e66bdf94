/** Which uploads may run: as many as the app allows, and none once it closes. */
import { UploadError } from '../errors.ts'

/** Uploads at the same time; 0: no limit. */
export interface GateLimits {
  /** Of everybody. */
  readonly maxUploads: number
  /** Of one owner. */
  readonly maxUploadsPerOwner: number
}

/** An upload under way. */
export interface RunningUpload {
  /** Who uploads; null if the app does not tell. */
  readonly owner: string | null
  /** Ends its content with `reason`; what has arrived is kept as after a cut. */
  readonly stop: (reason: Error) => void
}

/** Counts the uploads that run. */
export class Gate {
  readonly #limits: GateLimits
  readonly #running = new Set<RunningUpload>()
  #isClosed = false
  #onEmpty = (): void => undefined

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /**
   * Lets an upload in, and returns what it calls once it is over.
   *
   * @throws UploadError `ERR_CLOSING`, `ERR_BUSY`, `ERR_TOO_MANY_UPLOADS`
   */
  enter(upload: RunningUpload): () => void {
    const { maxUploads, maxUploadsPerOwner } = this.#limits
    if (this.#isClosed) throw closing()
    if (maxUploads > 0 && this.#running.size >= maxUploads) throw busy(maxUploads)
    if (maxUploadsPerOwner > 0 && this.#countOf(upload.owner) >= maxUploadsPerOwner) {
      throw tooManyOfOwner(maxUploadsPerOwner)
    }
    this.#running.add(upload)
    return () => {
      this.#running.delete(upload)
      if (this.#running.size === 0) this.#onEmpty()
    }
  }

  /** Lets nobody in any more, stops who is in, and resolves when all are out or the time is over. */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true
    for (const { stop } of this.#running) stop(closing())
    if (this.#running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #countOf(owner: string | null): number {
    if (owner === null) return 0
    return [...this.#running].filter((upload) => upload.owner === owner).length
  }
}

function closing(): UploadError {
  return new UploadError('ERR_CLOSING', {
    detail: 'the server is being stopped: resume from what HEAD tells, in a moment',
    headers: { 'Retry-After': '5', Connection: 'close' },
  })
}

function busy(limit: number): UploadError {
  return new UploadError('ERR_BUSY', {
    detail: `${limit} uploads are under way, which is as many as the server takes`,
    headers: { 'Retry-After': '5' },
    members: { limit },
  })
}

function tooManyOfOwner(limit: number): UploadError {
  return new UploadError('ERR_TOO_MANY_UPLOADS', {
    detail: `${limit} uploads are under way, which is as many as you may have at a time`,
    headers: { 'Retry-After': '5' },
    members: { limit },
  })
}
