/** An upload that goes on until it is done: around failures, pauses and other writers. */
import type { OpenSource } from './source/byte-source.ts'
import { listen, until } from './clock.ts'
import { createSourceHash } from './digest.ts'
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
   * Rejects with a `ClientError`, with the reason of the signal, or with what a callback has thrown.
   * With `onState` a rejection that nobody handles is not an unhandled rejection.
   */
  readonly done: Promise<Response>
  /** What the upload is at. */
  readonly status: UploadStatus
  /** Stops at once. What the server has got stays there. Does nothing to an upload that is over. */
  pause(): void
  /** Goes on after a pause; ends a wait for the next try, too. */
  resume(): void
}

interface Final {
  readonly response: Response
  /** Whether all was there before. */
  readonly isUnchanged: boolean
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
  const connection = connect(url, options, platform, 'upload')
  const { signal } = connection
  const retry = createRetry(connection)
  let status: UploadStatus = { state: 'checking' }
  let isPaused = false
  /** Ends what is under way: a request, or a wait. */
  let activity = new AbortController()
  let wake: (() => void) | undefined
  const stop = (): void => activity.abort()

  const onState = connection.guard(options.onState)

  function setStatus(next: UploadStatus): void {
    status = next
    queueMicrotask(() => onState(next))
  }

  async function run(): Promise<Response> {
    const release = listen(signal, 'abort', stop)
    try {
      signal.throwIfAborted()
      const { response, isUnchanged } = await read()
      // What a callback throws at the end must reach the caller, too.
      status = { state: 'done', isUnchanged }
      onState(status)
      signal.throwIfAborted()
      return response
    } catch (error) {
      status = { state: 'failed', error }
      onState(status)
      throw error
    } finally {
      release()
      connection.release()
    }
  }

  async function read(): Promise<Final> {
    const hash = createSourceHash(platform.createHash)
    const source = await open(hash.tap)
    try {
      const transfer = createTransfer(connection, source, options, hash, retry)
      const response = await finish(transfer)
      return { response, isUnchanged: !transfer.hasWritten() }
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

  const done = run()
  // The failure was reported: that nobody waits for `done` must not end the process.
  if (options.onState) done.catch(() => undefined)

  return {
    done,
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
