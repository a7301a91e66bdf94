/**
 * Runs an upload from its start to its end: repeats the steps of `transfer.ts`, waits after
 * failures, stops and continues at pauses, and reports the state.
 */
import type { OpenSource } from './source/byte-source.ts'
import { until } from './clock.ts'
import { connect } from './exchange.ts'
import type { UploadOptions, UploadStatus } from './options.ts'
import { find, removeResource } from './resource.ts'
import { createRetry } from './retry.ts'
import { CALLBACK, TRANSFER } from './settings.ts'
import { createTransfer, type Transfer } from './transfer.ts'
import type { Platform } from './transport/transport.ts'
import { repeat } from './with-retries.ts'

/** The table of the options of `upload`, in the form that `settings.ts` describes. */
export const UPLOAD = {
  ...TRANSFER,
  overwrite: false,
  verify: false,
  segmentSize: 0,
  contentDigest: false,
  reprDigest: false,
  onState: CALLBACK,
}

/** A running upload. */
export interface Upload {
  /**
   * Resolves when the server holds exactly the bytes of the source. The value is the answer to the
   * last segment, or to the `HEAD` that found the source complete on the server.
   *
   * Rejects with a `ClientError` after a failure, with the reason of the signal if it aborts, with
   * an `AbortError` after `discard()`, or with the error that a callback has thrown. With the
   * option `onState` a rejection that the app does not handle does not raise an
   * `unhandledRejection`.
   */
  readonly done: Promise<Response>
  /** The present state. */
  readonly status: UploadStatus
  /**
   * Aborts the present request or wait. The server keeps the stored bytes. Has no effect after the
   * end of the upload.
   */
  pause(): void
  /**
   * Continues after a pause. While the upload waits for its next attempt, the attempt begins at
   * once.
   */
  resume(): void
  /**
   * Ends the upload and removes the incomplete resource that it has stored. Does not remove a
   * finished resource, nor one that another client has written. Resolves with whether something was
   * removed.
   *
   * @throws ClientError if the server refuses, or can't be reached after all `retries`.
   */
  discard(): Promise<boolean>
}

/**
 * Starts an upload. Errors of the source itself reject `done`.
 *
 * @throws TypeError for a wrong URL or option.
 */
export function startUpload(
  url: string | URL,
  open: OpenSource,
  options: UploadOptions,
  platform: Platform,
): Upload {
  const connection = connect(url, options, platform, UPLOAD)
  const { signal } = connection
  const retry = createRetry(connection)
  let status: UploadStatus = { state: 'checking' }
  let transfer: Transfer | undefined
  let isPaused = false
  /** Aborts the present request or wait, and is replaced after that. */
  let activity = new AbortController()
  /** Ends the wait of a pause. */
  let wake: (() => void) | undefined
  const stop = (): void => activity.abort()

  const onState = connection.guard(options.onState)

  function setStatus(next: UploadStatus): void {
    status = next
    onState(next)
  }

  async function run(): Promise<Response> {
    try {
      signal.addEventListener('abort', stop)
      signal.throwIfAborted()
      const response = await read()
      setStatus({ state: 'done', isUnchanged: !transfer?.evidence.hasWritten() })
      // `onState` runs in a microtask, and an exception in it aborts the signal. The check comes
      // after it, because such an exception has to reject `done`.
      await Promise.resolve()
      signal.throwIfAborted()
      return response
    } catch (error) {
      setStatus({ state: 'failed', error })
      throw error
    } finally {
      connection.abort()
    }
  }

  /** Opens the source, sends it, and closes it in every case. */
  async function read(): Promise<Response> {
    const source = await open()
    try {
      transfer = createTransfer(connection, source, options, retry)
      return await finish(transfer)
    } finally {
      await source.close?.()
    }
  }

  /** Repeats steps until the upload is complete. */
  async function finish({ step, isSending }: Transfer): Promise<Response> {
    const onWait = (delay: number | null, error: Error): void =>
      setStatus({ state: 'waiting', delay, error })
    for (;;) {
      await waitWhilePaused()
      const state = isSending() ? 'sending' : 'checking'
      if (state !== status.state) setStatus({ state })
      const current = activity.signal
      try {
        const response = await step(current)
        if (response !== null) return response
      } catch (error) {
        // An abort comes from a pause, from `resume()` during a wait, or from the end of the
        // upload, and does not count as a failure.
        if (!current.aborted) await retry.wait(error, current, onWait)
      }
    }
  }

  /** Waits for `resume()` if the upload is paused, and throws if it has ended. */
  async function waitWhilePaused(): Promise<void> {
    if (isPaused && !signal.aborted) {
      setStatus({ state: 'paused' })
      await until(signal, (resume) => void (wake = resume))
      return waitWhilePaused()
    }
    signal.throwIfAborted()
    // The signal of the last request or wait has aborted, so that the next one needs a new signal.
    if (activity.signal.aborted) activity = new AbortController()
  }

  const done = run()
  // `onState` has reported the failure to the app. An unhandled rejection would end a Node process.
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
      // This ends the wait for the next attempt. A request in progress continues.
      if (status.state === 'waiting') stop()
      wake?.()
    },
    discard: async () => {
      connection.abort()
      await done.catch(() => undefined)
      const evidence = transfer?.evidence
      // The removal needs a signal of its own. That of the upload has aborted, and the caller may
      // have aborted theirs before they call `discard()`.
      return repeat({ ...connection, signal: new AbortController().signal }, async (own) => {
        const found = evidence && (await find(own))
        if (!found || !evidence.isOwn(found)) return false
        // 412 means that the server was still storing bytes of the aborted request after `HEAD`.
        // The retry reads the new entity tag.
        return removeResource(own, found.etag, [412])
      })
    },
  }
}
