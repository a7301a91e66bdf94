/** An upload that goes on until it is done: around failures, pauses and other writers. */
import { until } from './clock.ts'
import { createSourceDigest } from './digest.ts'
import { connect, type Connection } from './exchange.ts'
import type { UploadOptions, UploadStatus } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { createRetry } from './retry.ts'
import type { OpenSource } from './byte-source.ts'
import { Transfer } from './transfer.ts'
import type { Platform } from './transport.ts'

/** A running upload. */
export interface Upload {
  /**
   * The final response: the server's answer to the last segment, or to the question what is there
   * where all of it was there already or that answer was lost.
   *
   * Rejects with a `ClientError`, or with the reason of the signal.
   */
  readonly done: Promise<Response>
  /** What the upload is at. */
  readonly status: UploadStatus
  /** Stops at once. What the server has got stays there. Does nothing to an upload that is over. */
  pause(): void
  /** Goes on after a pause; ends a wait for the next try, too. */
  resume(): void
}

/**
 * Starts an upload.
 *
 * @throws TypeError for a wrong URL or option.
 */
export function startUpload(
  url: string | URL,
  open: OpenSource,
  options: UploadOptions,
  platform: Platform,
): Upload {
  return new RunningUpload(connect(url, options, platform), open, options)
}

class RunningUpload implements Upload {
  readonly done: Promise<Response>
  status: UploadStatus = { state: 'checking' }
  readonly #connection: Connection
  readonly #options: UploadOptions
  #isPaused = false
  /** Ends what is under way: a request, or a wait. */
  #activity = new AbortController()
  #wake = (): void => undefined

  constructor(connection: Connection, open: OpenSource, options: UploadOptions) {
    this.#connection = connection
    this.#options = options
    this.done = this.#run(open)
  }

  pause(): void {
    this.#isPaused = true
    this.#activity.abort()
  }

  resume(): void {
    this.#isPaused = false
    // A wait is cut short; a request is not disturbed.
    if (this.status.state === 'waiting') this.#activity.abort()
    this.#wake()
  }

  async #run(open: OpenSource): Promise<Response> {
    const { signal } = this.#connection
    const stop = (): void => this.#activity.abort()
    signal.addEventListener('abort', stop)
    try {
      signal.throwIfAborted()
      const response = await this.#read(open)
      this.#setStatus({ state: 'done' })
      return response
    } catch (error) {
      this.#setStatus({ state: 'failed', error })
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #read(open: OpenSource): Promise<Response> {
    const { clock, createHash } = this.#connection
    const options = this.#options
    const digest = options.reprDigest === true ? createSourceDigest(createHash()) : null
    const source = await open((bytes) => digest?.tap(bytes))
    const meter = createProgressMeter(clock, source, options.onProgress)
    try {
      return await this.#transfer(new Transfer(source, options, digest, meter))
    } finally {
      await source.close()
    }
  }

  async #transfer(transfer: Transfer): Promise<Response> {
    const retry = createRetry(this.#connection)
    const onWait = (delay: number | null, error: Error): void =>
      this.#setStatus({ state: 'waiting', delay, error })
    for (;;) {
      await this.#turn()
      this.#setStatus({ state: transfer.isSending ? 'sending' : 'checking' })
      const { signal } = this.#activity
      try {
        const response = await transfer.step({ ...this.#connection, signal })
        if (response !== null) return response
        retry.reached(transfer.received)
      } catch (error) {
        if (signal.aborted) transfer.forget()
        else await retry.wait(error, signal, onWait)
      }
    }
  }

  /** Waits while paused, and makes what comes next stoppable. */
  async #turn(): Promise<void> {
    const { signal } = this.#connection
    while (this.#isPaused && !signal.aborted) {
      this.#setStatus({ state: 'paused' })
      await until(signal, (wake) => void (this.#wake = wake))
    }
    signal.throwIfAborted()
    if (this.#activity.signal.aborted) this.#activity = new AbortController()
  }

  #setStatus(status: UploadStatus): void {
    const { onState } = this.#options
    const isNew = status.state !== this.status.state || status.state === 'waiting'
    this.status = status
    if (isNew) queueMicrotask(() => onState?.(status))
  }
}
