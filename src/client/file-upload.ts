/**
 * The upload of one of several files: it waits for a slot, and can be paused, cancelled and
 * retried.
 */
import type { Progress, UploadOptions, UploadStatus } from './options.ts'
import type { Enter } from './slots.ts'
import type { Upload } from './upload.ts'

/** The state of one of several files: a state of its upload, or a state of the queue. */
export type FileStatus =
  | UploadStatus
  /** The file waits until the upload of another one ends. */
  | { readonly state: 'queued' }
  /** `cancel()` has ended the upload. `error` is an `AbortError`. */
  | { readonly state: 'cancelled'; readonly error: Error }

/** The upload of one of several files. */
export interface FileUpload<F> {
  /** The source, as it was given to `uploadAll` or `add`. */
  readonly file: F
  /** Absolute URL of the resource. */
  readonly url: string
  /** The present state. */
  readonly status: FileStatus
  /** The present progress. */
  readonly progress: Progress
  /**
   * Resolves when the file is complete, has failed or was cancelled; never rejects. `retry`
   * replaces it by a new promise.
   */
  readonly ended: Promise<void>
  /** Aborts the present request, and lets another file begin. The server keeps the stored bytes. */
  readonly pause: () => void
  /**
   * Queues the file again after a pause. If it waits for its next attempt, the attempt begins at
   * once.
   */
  readonly resume: () => void
  /** Queues the file again if it has failed. It resumes at the offset that the server reports. */
  readonly retry: () => void
  /**
   * Ends the upload and removes what it has stored. Has no effect on a complete file.
   *
   * @throws ClientError if the server refuses to remove it, or can't be reached.
   */
  readonly cancel: () => Promise<void>
}

/** Starts the upload of a file: the `upload` function of the platform. */
export type Start<F> = (url: string, file: F, options: UploadOptions) => Upload

/** What the queue gives to each file. */
interface Queue<F> {
  readonly start: Start<F>
  /** Queues for one of the slots, which limit the number of files at a time. */
  readonly enter: Enter
  /** Called when the state of the file has changed. */
  readonly onState: () => void
  /**
   * Called when the progress has changed. `size` is the number of bytes sent since the last call.
   */
  readonly onMove: (size: number) => void
}

/** Creates the upload of a file, and queues it for a slot. */
export function createFileUpload<F>(
  file: F,
  url: string,
  options: UploadOptions,
  { start, enter, onState, onMove }: Queue<F>,
): FileUpload<F> {
  let status: FileStatus = { state: 'queued' }
  let progress: Progress = { sent: 0, size: sizeOf(file), rate: null }
  let running: Upload | null = null
  let isPaused = false
  let end = (): void => undefined
  let ended = untilEnd()
  let leave = enter(begin)

  function untilEnd(): Promise<void> {
    return new Promise((resolve) => (end = resolve))
  }

  function set(next: FileStatus): void {
    status = next
    onState()
  }

  /** Called when the file has a slot: starts the upload, or continues it after a pause. */
  function begin(): void {
    if (running === null) void run()
    else running.resume()
  }

  function enqueue(): void {
    isPaused = false
    set({ state: 'queued' })
    leave = enter(begin)
  }

  async function run(): Promise<void> {
    // `enter` may call this before it returns, so that `leave` is not assigned yet. After the
    // microtask the file may have been paused, or another call may have started the upload.
    await Promise.resolve()
    if (!isIn('queued') || running !== null) return
    try {
      running = start(url, file, { ...options, onState: follow, onProgress: move })
      set(running.status)
      await running.done
    } catch (error) {
      if (isIn('cancelled')) return
      // `follow` has reported the failure, unless `start` itself has thrown.
      if (!isIn('failed')) set({ state: 'failed', error })
    }
    leave()
    end()
  }

  /** Takes over a state of the upload. */
  function follow(next: UploadStatus): void {
    // `paused` is reported asynchronously, when the file may already be in the queue again. And
    // after `cancel()` the upload reports that it was aborted, which is not a failure of the file.
    if (isIn('cancelled') || (next.state === 'paused' && !isPaused)) return
    set(next)
  }

  function move(next: Progress): void {
    // While the state is not `sending`, the progress shows bytes that the server already held. They
    // do not count for the rate of all files.
    const size = isIn('sending') ? Math.max(0, next.sent - progress.sent) : 0
    progress = next
    onMove(size)
  }

  function isIn(...states: readonly FileStatus['state'][]): boolean {
    return states.includes(status.state)
  }

  function isOver(): boolean {
    return isIn('done', 'failed', 'cancelled')
  }

  return {
    file,
    url,
    get status() {
      return status
    },
    get progress() {
      return progress
    },
    get ended() {
      return ended
    },
    pause: () => {
      if (isPaused || isOver()) return
      isPaused = true
      leave()
      if (running === null) set({ state: 'paused' })
      else running.pause()
    },
    resume: () => {
      if (isPaused && !isOver()) enqueue()
      else if (isIn('waiting')) running?.resume()
    },
    retry: () => {
      if (!isIn('failed')) return
      running = null
      ended = untilEnd()
      enqueue()
    },
    cancel: async () => {
      if (isIn('done', 'cancelled')) return
      set({ state: 'cancelled', error: new DOMException('the upload was cancelled', 'AbortError') })
      leave()
      try {
        await running?.discard()
      } finally {
        end()
      }
    },
  }
}

/**
 * Returns the size of a source in bytes; null for a stream, and for a path whose file is not open
 * yet.
 */
function sizeOf(file: unknown): number | null {
  if (file instanceof Blob) return file.size
  return file instanceof Uint8Array ? file.byteLength : null
}
