/** One of several uploads: it waits for a slot, and can be paused, cancelled and tried again. */
import type { Progress, UploadOptions, UploadStatus } from './options.ts'
import type { Enter } from './slots.ts'
import type { Upload } from './upload.ts'

/** The state of one of several files. */
export type FileStatus =
  | UploadStatus
  /** Other files are uploaded first. */
  | { readonly state: 'queued' }
  /** The upload was ended by `cancel()`. `error` says so. */
  | { readonly state: 'cancelled'; readonly error: Error }

/** The upload of one of several files. */
export interface FileUpload<F> {
  readonly file: F
  /** Absolute. */
  readonly url: string
  /** The present state. */
  readonly status: FileStatus
  /** The present progress. */
  readonly progress: Progress
  /** Resolves when the file is complete, has failed or was cancelled. After `retry` another promise. */
  readonly ended: Promise<void>
  /** Stops at once and lets another file begin. The server keeps the stored bytes. */
  readonly pause: () => void
  /** Queues the file again after a pause, and ends a wait for the next try. */
  readonly resume: () => void
  /** Queues the file again if it has failed. It resumes where it stopped. */
  readonly retry: () => void
  /**
   * Ends the upload, unless the file is complete, and removes what it has stored.
   *
   * @throws ClientError if the server could not be asked to remove it.
   */
  readonly cancel: () => Promise<void>
}

/** Starts the upload of a file. */
export type Start<F> = (url: string, file: F, options: UploadOptions) => Upload

/** What a file has in common with the others. */
interface Queue<F> {
  readonly start: Start<F>
  readonly enter: Enter
  /** Called when the state has changed. */
  readonly onState: () => void
  /** Called when `size` bytes were sent. */
  readonly onMove: (size: number) => void
}

/** Queues a file. */
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
    // `enter` has not returned yet, and a pause or another run may come first.
    await Promise.resolve()
    if (!isIn('queued') || running !== null) return
    try {
      running = start(url, file, { ...options, onState: follow, onProgress: move })
      set(running.status)
      await running.done
    } catch (error) {
      if (isIn('cancelled')) return
      // Only `start` throws before `follow` was called.
      if (!isIn('failed')) set({ state: 'failed', error })
    }
    leave()
    end()
  }

  function follow(next: UploadStatus): void {
    // The report of a stop may come after the file was queued again or was cancelled.
    if (isIn('cancelled') || (next.state === 'paused' && !isPaused)) return
    set(next)
  }

  function move(next: Progress): void {
    // Before the first byte is sent, it is the number of bytes that the server already holds.
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

/** The size of a file; null for a stream, and for a file that is not open yet. */
function sizeOf(file: unknown): number | null {
  if (file instanceof Blob) return file.size
  return file instanceof Uint8Array ? file.byteLength : null
}
