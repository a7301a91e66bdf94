/**
 * Uploads in React, published as `partial-upload/react`: a hook that renders its component again
 * when one of its uploads changes. It works with React 18 and 19.
 */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'

import { nameOfFile, resolveFileUrl } from './client/file-url.ts'
import type { Source } from './client/source/source.ts'
import {
  uploadAll,
  type FileUpload,
  type TotalProgress,
  type UploadAllOptions,
  type Uploads,
} from './client/upload-all.ts'

export type * from './client/upload-all.ts'

/**
 * Options of `useUploads`: those of `uploadAll`, except `signal`, because the end of the component
 * ends its uploads.
 */
export type ComponentOptions<F> = Omit<UploadAllOptions<F>, 'signal'>

/**
 * The state of one file. It is a new object after each change, so that components can compare it by
 * identity.
 */
export type FileState<F> = Omit<FileUpload<F>, 'ended'>

/**
 * The uploads of a component. They are a new object after each change, but `add`, `pause` and the
 * other functions stay the same, so that effects may depend on them.
 */
export interface ComponentUploads<F> extends Omit<Uploads<F>, 'files' | 'done'> {
  /** One state for each file, in the order in which the files were added. */
  readonly files: readonly FileState<F>[]
}

/** The progress before the first file is added. */
const NO_PROGRESS: TotalProgress = {
  sent: 0,
  size: 0,
  rate: null,
  files: 0,
  complete: 0,
  failed: 0,
}

/**
 * Uploads the files that a component passes to `add`, and renders it again when a file changes.
 *
 * `url` and all functions are those of the latest rendering. The other options are read when the
 * first file is added. When the component is unmounted, its uploads end, and the server keeps the
 * stored bytes.
 */
export function useUploads<F extends Source = File>(
  options: ComponentOptions<F>,
): ComponentUploads<F> {
  const latest = useRef(options)
  useEffect(() => {
    latest.current = options
  })
  // The initial value of a state is created once, whereas `useMemo` may be computed again.
  const [store] = useState(() => createStore(() => latest.current))
  useEffect(() => store.stop, [store])
  return useSyncExternalStore(store.subscribe, store.read, store.read)
}

/** The uploads of one component, in the form of an external store of React. */
interface Store<F> {
  readonly subscribe: (listener: () => void) => () => void
  readonly read: () => ComponentUploads<F>
  /** Ends the uploads. The server keeps the stored bytes. */
  readonly stop: () => void
}

function createStore<F extends Source>(options: () => ComponentOptions<F>): Store<F> {
  const listeners = new Set<() => void>()
  const states = new Map<FileUpload<F>, FileState<F>>()
  let uploads: Uploads<F> | null = null
  let controller = new AbortController()
  let snapshot: ComponentUploads<F> = {
    files: [],
    progress: NO_PROGRESS,
    add,
    pause: () => uploads?.pause(),
    resume: () => uploads?.resume(),
    retry: () => uploads?.retry(),
    cancel: async () => uploads?.cancel(),
  }

  /**
   * Starts with the first files, because `uploadAll` needs the options, which may change until
   * then.
   */
  function add(files: ArrayLike<F> | Iterable<F>): void {
    if (uploads === null) uploads = uploadAll(files, followed(options()))
    else uploads.add(files)
    change()
  }

  /**
   * Returns the options for `uploadAll`. They read the URL and the functions of the last rendering,
   * because a component passes new ones each time, which may use newer state.
   */
  function followed(first: ComponentOptions<F>): UploadAllOptions<F> {
    controller = new AbortController()
    const { signal } = controller
    return {
      ...first,
      url: (file) => resolveFileUrl(options().url, file, nameOfFile),
      headers: async () => {
        const { headers = {} } = options()
        return typeof headers === 'function' ? headers() : headers
      },
      onBeforeRequest: async (request) => options().onBeforeRequest?.(request),
      shouldRetry: (error, failures) => options().shouldRetry?.(error, failures) ?? error.transient,
      signal,
      onFile: (upload) => {
        // After the end of the component, each aborted upload reports that it has failed.
        if (signal.aborted) return
        states.delete(upload)
        change()
        options().onFile?.(upload)
      },
      onProgress: (progress) => {
        if (signal.aborted) return
        change()
        options().onProgress?.(progress)
      },
    }
  }

  /**
   * Makes a new snapshot, and notifies React. Files that have not changed keep their state objects.
   */
  function change(): void {
    if (uploads === null) return
    const { files, progress } = uploads
    for (const file of files) if (!states.has(file)) states.set(file, stateOf(file))
    snapshot = { ...snapshot, files: files.map((file) => states.get(file)!), progress }
    for (const listener of listeners) listener()
  }

  function stop(): void {
    controller.abort()
    uploads = null
    states.clear()
    // React runs effects twice in its strict mode, so that the store has to be usable again after
    // this.
    snapshot = { ...snapshot, files: [], progress: NO_PROGRESS }
    for (const listener of listeners) listener()
  }

  return {
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    read: () => snapshot,
    stop,
  }
}

/** Copies the present state of a file. */
function stateOf<F>(upload: FileUpload<F>): FileState<F> {
  const { file, url, status, progress, pause, resume, retry, cancel } = upload
  return { file, url, status, progress, pause, resume, retry, cancel }
}
