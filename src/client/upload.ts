/** An upload that goes on until it is done: around failures, pauses and other writers. */
import { untilCalled } from './clock.ts'
import type { Digests } from './digest.ts'
import { connect, type Connection } from './exchange.ts'
import { checkNumber, resolveOptions, type UploadOptions, type UploadStatus } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { pause, Retry } from './retry.ts'
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
  checkNumber('segmentSize', options.segmentSize ?? 1, 1)
  const connection = connect(url, resolveOptions(options), platform)
  return new RunningUpload(connection, open, options)
}

class RunningUpload implements Upload {
  readonly done: Promise<Response>
  readonly #connection: Connection
  readonly #options: UploadOptions
  readonly #retry: Retry
  #status: UploadStatus = { state: 'checking' }
  #isPaused = false
  /** Ends what is under way: a request, or a wait. */
  #activity = new AbortController()
  #wake = (): void => undefined

  constructor(connection: Connection, open: OpenSource, options: UploadOptions) {
    this.#connection = connection
    this.#options = options
    this.#retry = new Retry(connection.settings)
    this.done = this.#run(open)
  }

  get status(): UploadStatus {
    return this.#status
  }

  pause(): void {
    if (this.#isOver()) return
    this.#isPaused = true
    this.#activity.abort()
  }

  resume(): void {
    this.#isPaused = false
    // A wait is cut short; a request is not disturbed.
    if (this.#status.state === 'waiting') this.#activity.abort()
    this.#wake()
  }

  async #run(open: OpenSource): Promise<Response> {
    const { signal } = this.#options
    const stop = (): void => this.#activity.abort()
    signal?.addEventListener('abort', stop)
    try {
      const response = await this.#read(open)
      this.#setStatus({ state: 'done' })
      return response
    } catch (error) {
      this.#setStatus({ state: 'failed', error })
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  async #read(open: OpenSource): Promise<Response> {
    const { settings } = this.#connection
    const { signal, onProgress, reprDigest, contentDigest } = this.#options
    signal?.throwIfAborted()
    const digests = reprDigest === true || contentDigest === true ? await this.#openDigests() : null
    const source = await open((bytes) => digests?.tap(bytes))
    const meter = createProgressMeter(settings.clock, onProgress)
    try {
      const transfer = new Transfer({
        connection: this.#connection,
        source,
        options: this.#options,
        digests,
        onPosition: (sent) => meter.start(sent, source.size),
        onProgress: (sent) => meter.move(sent, source.size),
      })
      return await this.#transfer(transfer)
    } finally {
      await source.close()
    }
  }

  async #openDigests(): Promise<Digests> {
    const { openDigests } = await import('./digest.ts')
    return openDigests(this.#options, this.#connection.platform)
  }

  async #transfer(transfer: Transfer): Promise<Response> {
    for (;;) {
      await this.#turn()
      try {
        const response = await this.#step(transfer)
        if (response !== null) return response
      } catch (error) {
        if (this.#activity.signal.aborted) transfer.forget()
        else await this.#wait(error)
      }
    }
  }

  /** Waits while paused, and makes what comes next stoppable. */
  async #turn(): Promise<void> {
    const { signal } = this.#options
    signal?.throwIfAborted()
    while (this.#isPaused) {
      this.#setStatus({ state: 'paused' })
      await untilCalled(signal ?? new AbortController().signal, (wake) => {
        this.#wake = wake
        return () => undefined
      })
    }
    if (this.#activity.signal.aborted) this.#activity = new AbortController()
  }

  async #step(transfer: Transfer): Promise<Response | null> {
    const { knows, reach, received } = transfer
    this.#setStatus({ state: knows ? 'sending' : 'checking' })
    const response = await transfer.step(this.#activity.signal)
    if (transfer.received > received) {
      this.#retry.progressed(knows || transfer.received <= reach ? 'us' : 'others')
    }
    return response
  }

  async #wait(failure: unknown): Promise<void> {
    const { settings } = this.#connection
    const delay = this.#retry.next(failure)
    const error = failure instanceof Error ? failure : new Error(String(failure))
    const { signal } = this.#activity
    const onWait = (wait: number | null): void =>
      this.#setStatus({ state: 'waiting', delay: wait, error })
    // Pause, resume and abort end the wait; the next turn sees which it was.
    await pause(delay, settings, signal, onWait).catch(() => undefined)
  }

  #isOver(): boolean {
    return this.#status.state === 'done' || this.#status.state === 'failed'
  }

  #setStatus(status: UploadStatus): void {
    const { onState } = this.#options
    const isNew = status.state !== this.#status.state || status.state === 'waiting'
    this.#status = status
    if (isNew) queueMicrotask(() => onState?.(status))
  }
}
