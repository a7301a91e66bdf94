/** Runs several uploads at a time: a queue of files, and one progress for all of them. */
import { systemClock } from './clock.ts'
import { resolveFileUrl, type FileUrl } from './file-url.ts'
import { createFileUpload, type FileUpload, type Start } from './file-upload.ts'
import type { Progress, UploadOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { applyDefaults } from './settings.ts'
import { createSlots } from './slots.ts'
import { UPLOAD } from './upload.ts'

/**
 * Default number of files at a time. A browser opens at most six connections to a host over
 * HTTP/1.1, so that some remain for the other requests of the page.
 */
const CONCURRENCY = 4

/** Progress of all files together, without those that were cancelled. */
export interface TotalProgress extends Progress {
  /** Number of bytes of all files; null while the size of one of them is not known. */
  readonly size: number | null
  /** Number of files that were added and not cancelled. */
  readonly files: number
  /** Number of files that the server holds completely. */
  readonly complete: number
  /** Number of files that have failed. */
  readonly failed: number
}

/**
 * Options of `uploadAll`: the options of `upload`, which apply to each file, and those of the
 * queue.
 */
export interface UploadAllOptions<F> extends Omit<UploadOptions, 'onProgress' | 'onState'> {
  /**
   * URL of the folder that the files are uploaded into, to which the name of each file is added; or
   * a function that returns the URL of a file. Names are percent-encoded, so that a `/` in a name
   * does not lead into another folder.
   */
  readonly url: FileUrl<F>
  /**
   * Number of files that are uploaded at the same time, at least 1. The others wait in a queue.
   *
   * @default 4
   */
  readonly concurrency?: number
  /**
   * Called when the state of a file changes, and as its bytes move. If it throws, the upload of
   * this file ends and has failed.
   */
  readonly onFile?: (upload: FileUpload<F>) => void
  /**
   * Called when the state of a file changes, and as bytes move. If it throws, the upload of the
   * file that has changed ends and has failed.
   */
  readonly onProgress?: (progress: TotalProgress) => void
}

/** The uploads of several files. */
export interface Uploads<F> {
  /** One upload for each file, in the order in which the files were added. */
  readonly files: readonly FileUpload<F>[]
  /** The present progress of all files together. */
  readonly progress: TotalProgress
  /**
   * Resolves when every file is complete. If some files have failed or were cancelled, it rejects
   * after the others have ended: with the reason of the signal if it has aborted, and otherwise
   * with an `AggregateError` of their errors. Read it again after `add` and `retry`, because each
   * read returns a new promise.
   */
  readonly done: Promise<void>
  /**
   * Adds files to the end of the queue.
   *
   * @throws TypeError for a URL that can't be built. No file is added then.
   */
  readonly add: (files: ArrayLike<F> | Iterable<F>) => void
  /** Pauses all files, and aborts their requests. The server keeps the stored bytes. */
  readonly pause: () => void
  /** Queues the paused files again. Files that wait for their next attempt try at once. */
  readonly resume: () => void
  /**
   * Queues the files that have failed again. Each resumes at the offset that the server reports.
   */
  readonly retry: () => void
  /**
   * Ends the uploads of all files that are not complete, and removes what they have stored.
   *
   * @throws ClientError if the server refuses to remove a file, or can't be reached.
   */
  readonly cancel: () => Promise<void>
}

/**
 * Starts to upload files. `start` uploads one file, and `nameOf` returns the name that is added to
 * the URL of the folder.
 *
 * @throws TypeError for a wrong option or URL.
 */
export function startUploads<F>(
  given: ArrayLike<F> | Iterable<F>,
  { url, concurrency = CONCURRENCY, onFile, onProgress, ...options }: UploadAllOptions<F>,
  start: Start<F>,
  nameOf: (file: F) => string,
): Uploads<F> {
  // The result is not used. The check makes a wrong option throw here, before each file would fail.
  applyDefaults(UPLOAD, options)
  if (!(concurrency >= 1)) throw new TypeError(`concurrency is ${concurrency}, expected 1 or more`)
  const files: FileUpload<F>[] = []
  const enter = createSlots(concurrency)
  let rate: number | null = null
  let moved = 0
  const meter = createProgressMeter(systemClock, { size: null }, (measured) => {
    ;({ rate } = measured)
    report()
  })

  function progress(): TotalProgress {
    const counted = files.filter(({ status }) => status.state !== 'cancelled')
    const count = (state: string): number =>
      counted.filter(({ status }) => status.state === state).length
    return {
      sent: sum(counted.map((file) => file.progress.sent)) ?? 0,
      size: sum(counted.map((file) => file.progress.size)),
      rate,
      files: counted.length,
      complete: count('done'),
      failed: count('failed'),
    }
  }

  function report(): void {
    onProgress?.(progress())
  }

  function add(more: ArrayLike<F> | Iterable<F>): void {
    // All URLs are built first, so that a wrong one throws before any file is added.
    const added = Array.from(more, (file) => ({ file, url: resolveFileUrl(url, file, nameOf) }))
    for (const { file, url: target } of added) {
      const upload = createFileUpload(file, target, options, {
        start,
        enter,
        onState: () => {
          onFile?.(upload)
          report()
        },
        onMove: (size) => {
          moved += size
          onFile?.(upload)
          meter.move(moved)
        },
      })
      files.push(upload)
    }
  }

  /** Waits until no file is left to do, including those that are added or retried meanwhile. */
  async function finish(): Promise<void> {
    for (let count = -1; count !== files.length;) {
      count = files.length
      await Promise.all(files.map(async ({ ended }) => ended))
    }
    const errors = files.flatMap(({ status }) => ('error' in status ? [status.error] : []))
    if (errors.length === 0) return
    options.signal?.throwIfAborted()
    throw new AggregateError(errors, `${errors.length} of ${files.length} files are not complete`)
  }

  meter.start(0)
  add(given)
  return {
    files,
    get progress() {
      return progress()
    },
    get done() {
      return finish()
    },
    add,
    pause: () => {
      // A file that is paused gives its slot to the next one in the queue. In reverse order the
      // next ones are already paused, so that none of them sends a request in between.
      for (const file of [...files].reverse()) file.pause()
    },
    resume: () => {
      for (const file of files) file.resume()
    },
    retry: () => {
      for (const file of files) file.retry()
    },
    cancel: async () => {
      await Promise.all([...files].reverse().map(async (file) => file.cancel()))
    },
  }
}

/** Returns the sum of the numbers; null if one of them is null. */
function sum(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((all, each) => (all === null || each === null ? null : all + each), 0)
}
