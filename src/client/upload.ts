/** An upload until its end: around failures, pauses and other writers. */
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

/** The options of `upload`, as `settings.ts` describes. */
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
   * The final response: the answer to the last segment, or to the `HEAD` that found the source complete
   * on the server.
   *
   * Rejects with a `ClientError`, with the reason of the signal, or with what a callback has thrown.
   * With `onState` a rejection that is not handled does not count as an unhandled rejection.
   */
  readonly done: Promise<Response>
  /** The present state. */
  readonly status: UploadStatus
  /** Stops at once. The server keeps the stored bytes. Has no effect after the end of the upload. */
  pause(): void
  /** Continues after a pause, and ends a wait for the next try. */
  resume(): void
  /**
   * Ends the upload and removes what it has stored. A finished resource and one that another client has
   * written stay. Resolves with whether something was removed.
   *
   * @throws ClientError
   */
  discard(): Promise<boolean>
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
  const connection = connect(url, options, platform, UPLOAD)
  const { signal } = connection
  const retry = createRetry(connection)
  let status: UploadStatus = { state: 'checking' }
  let transfer: Transfer | undefined
  let isPaused = false
  /** Aborts the present request or wait. */
  let activity = new AbortController()
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
      // `onState` is called before `done` is settled, because an exception of it rejects `done`.
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

  async function read(): Promise<Response> {
    const source = await open()
    try {
      transfer = createTransfer(connection, source, options, retry)
      return await finish(transfer)
    } finally {
      await source.close?.()
    }
  }

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
        if (!current.aborted) await retry.wait(error, current, onWait)
      }
    }
  }

  /** Waits for `resume()` after a pause. What comes next can be stopped again. */
  async function waitWhilePaused(): Promise<void> {
    if (isPaused && !signal.aborted) {
      setStatus({ state: 'paused' })
      await until(signal, (resume) => void (wake = resume))
      return waitWhilePaused()
    }
    signal.throwIfAborted()
    if (activity.signal.aborted) activity = new AbortController()
  }

  async function discard(): Promise<boolean> {
    connection.abort()
    await done.catch(() => undefined)
    const evidence = transfer?.evidence
    // The signal of the upload has aborted, and that of the caller does not end the removal.
    return repeat({ ...connection, signal: new AbortController().signal }, async (own) => {
      const found = evidence && (await find(own))
      if (!found || !evidence.isOwn(found)) return false
      // 412: the server has stored more since, which it had received before.
      return removeResource(own, found.etag ?? undefined, [412])
    })
  }

  const done = run()
  // `onState` reports the failure. An unhandled rejection of `done` would end a Node process.
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
      // Ends a wait, but not a request.
      if (status.state === 'waiting') stop()
      wake?.()
    },
    discard,
  }
}
