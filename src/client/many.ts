/** Several uploads at a time: a queue, and one progress for all of them. */
import { systemClock } from './clock.ts'
import { createFileUpload, type FileUpload, type Start } from './file-upload.ts'
import type { Progress, UploadOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { scope } from './scope.ts'
import { applyDefaults } from './settings.ts'
import { createSlots } from './slots.ts'
import { UPLOAD } from './upload.ts'

/** Number of files at a time. A browser opens six connections to a host over HTTP/1.1. */
const CONCURRENCY = 4

/** Progress of all files that were not cancelled. */
export interface TotalProgress extends Progress {
  /** Number of bytes of all files; null while one of them is not known. */
  readonly size: number | null
  /** Number of files. */
  readonly files: number
  /** Number of files that the server holds completely. */
  readonly complete: number
  /** Number of files that have failed. */
  readonly failed: number
}

/** Options of `uploadAll`: those of `upload`, which hold for each file, and those of the queue. */
export interface UploadAllOptions<F> extends Omit<UploadOptions, 'onProgress' | 'onState'> {
  /**
   * Where the files go: the URL of a folder, to which the name of each file is added, or a function that
   * returns the URL of a file.
   */
  readonly url: string | URL | ((file: F) => string | URL)
  /**
   * Number of files that are uploaded at the same time, at least 1.
   *
   * @default 4
   */
  readonly concurrency?: number
  /**
   * Called when the state of a file changes, and as its bytes move. An exception ends the upload of the
   * file, which then has failed.
   */
  readonly onFile?: (upload: FileUpload<F>) => void
  /** Called when the state of a file changes, and as bytes move. An exception ends the file's upload. */
  readonly onProgress?: (progress: TotalProgress) => void
}

/** The uploads of several files. */
export interface Uploads<F> {
  /** One for each file, in the order in which they were added. */
  readonly files: readonly FileUpload<F>[]
  /** The present progress of all. */
  readonly progress: TotalProgress
  /**
   * Resolves when every file is complete. Rejects when no file is left to do, and some were cancelled or
   * have failed: with the reason of the signal if it has aborted, and otherwise with an `AggregateError`
   * of their errors. After `add` and `retry` it is another promise.
   */
  readonly done: Promise<void>
  /** Adds files to the queue. */
  readonly add: (files: ArrayLike<F> | Iterable<F>) => void
  /** Stops all files at once. The server keeps the stored bytes. */
  readonly pause: () => void
  /** Continues after a pause, and ends the waits for next tries. */
  readonly resume: () => void
  /** Begins anew with the files that have failed. They resume where they stopped. */
  readonly retry: () => void
  /**
   * Ends all files that are not complete, and removes what they have stored.
   *
   * @throws ClientError if the server could not be asked to remove it.
   */
  readonly cancel: () => Promise<void>
}

/**
 * Starts to upload files.
 *
 * @throws TypeError for a wrong option or URL.
 */
export function startUploads<F>(
  given: ArrayLike<F> | Iterable<F>,
  { url, concurrency = CONCURRENCY, onFile, onProgress, ...options }: UploadAllOptions<F>,
  start: Start<F>,
  nameOf: (file: F) => string,
): Uploads<F> {
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
    // All URLs first: a wrong one throws before a file is added.
    const added = Array.from(more, (file) => ({ file, url: resolve(url, file, nameOf) }))
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
      // The last one first, because a file that stops lets the next one in the queue begin.
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

/** Returns the URL of a file. Its name is escaped, so that it is exactly one segment of the path. */
function resolve<F>(url: UploadAllOptions<F>['url'], file: F, nameOf: (file: F) => string): string {
  const base = scope.location?.href
  if (typeof url === 'function') return new URL(url(file), base).href
  const folder = new URL(url, base)
  if (!folder.pathname.endsWith('/')) folder.pathname += '/'
  folder.pathname += encodeURIComponent(nameOf(file).replace(/\p{Surrogate}/gu, '\uFFFD'))
  return folder.href
}

/** Null if one of the numbers is not known. */
function sum(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((all, each) => (all === null || each === null ? null : all + each), 0)
}
