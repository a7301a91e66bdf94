/** An upload that goes on until it is done: around failures, pauses and other writers. */
import type { OpenSource } from './source/byte-source.ts'
import { listen, until } from './clock.ts'
import { connect } from './exchange.ts'
import type { UploadOptions, UploadStatus } from './options.ts'
import { createRetry } from './retry.ts'
import { createTransfer, type Transfer } from './transfer.ts'
import type { Platform } from './transport/transport.ts'

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
  const connection = connect(url, options, platform)
  const { signal } = connection
  const retry = createRetry(connection)
  let status: UploadStatus = { state: 'checking' }
  let isPaused = false
  /** Ends what is under way: a request, or a wait. */
  let activity = new AbortController()
  let wake: (() => void) | undefined
  const stop = (): void => activity.abort()

  function setStatus(next: UploadStatus): void {
    status = next
    queueMicrotask(() => options.onState?.(next))
  }

  async function run(): Promise<Response> {
    const release = listen(signal, 'abort', stop)
    try {
      signal.throwIfAborted()
      const response = await read()
      setStatus({ state: 'done' })
      return response
    } catch (error) {
      setStatus({ state: 'failed', error })
      throw error
    } finally {
      release()
    }
  }

  async function read(): Promise<Response> {
    const hash = options.reprDigest ? platform.createHash() : null
    const source = await open((bytes) => hash?.update(bytes))
    try {
      return await finish(createTransfer(connection, source, options, hash, retry))
    } finally {
      await source.close?.()
    }
  }

  async function finish(transfer: Transfer): Promise<Response> {
    const onWait = (delay: number | null, error: Error): void =>
      setStatus({ state: 'waiting', delay, error })
    for (;;) {
      await turn()
      const state = transfer.isSending() ? 'sending' : 'checking'
      if (state !== status.state) setStatus({ state })
      const current = activity.signal
      try {
        const response = await transfer.step(current)
        if (response !== null) return response
      } catch (error) {
        if (current.aborted) transfer.forget()
        else await retry.wait(error, current, onWait)
      }
    }
  }

  /** Waits while paused, and makes what comes next stoppable. */
  async function turn(): Promise<void> {
    if (isPaused && !signal.aborted) {
      setStatus({ state: 'paused' })
      await until(signal, (resume) => void (wake = resume))
      return turn()
    }
    signal.throwIfAborted()
    if (activity.signal.aborted) activity = new AbortController()
  }

  return {
    done: run(),
    get status() {
      return status
    },
    pause: () => {
      isPaused = true
      stop()
    },
    resume: () => {
      isPaused = false
      // A wait is cut short; a request is not disturbed.
      if (status.state === 'waiting') stop()
      wake?.()
    },
  }
}
