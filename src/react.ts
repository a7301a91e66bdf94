/** Uploads in React: a hook that renders a component anew when one of its uploads changes. */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'

import type { Source } from './client/source/source.ts'
import {
  uploadAll,
  type FileUpload,
  type TotalProgress,
  type UploadAllOptions,
  type Uploads,
} from './client/upload-all.ts'

export type * from './client/upload-all.ts'

/** Options of `useUploads`: those of `uploadAll`. The end of the component stands for the signal. */
export type ComponentOptions<F> = Omit<UploadAllOptions<F>, 'signal'>

/** One file of a component. It is another object after each change. */
export type FileState<F> = Omit<FileUpload<F>, 'ended'>

/** The uploads of a component. They are another object after each change, with the same functions. */
export interface ComponentUploads<F> extends Omit<Uploads<F>, 'files' | 'done'> {
  /** One for each file, in the order in which they were added. */
  readonly files: readonly FileState<F>[]
}

const NO_PROGRESS: TotalProgress = {
  sent: 0,
  size: 0,
  rate: null,
  files: 0,
  complete: 0,
  failed: 0,
}

/**
 * The uploads of a component, which begin with `add`. The options are those of `uploadAll`, and are read
 * when the first file is added; `headers` and the callbacks are those of the last rendering. When the component is unmounted, its uploads end, and the server keeps what it has.
 */
export function useUploads<F extends Source = File>(
  options: ComponentOptions<F>,
): ComponentUploads<F> {
  const latest = useRef(options)
  useEffect(() => {
    latest.current = options
  })
  const [store] = useState(() => createStore(() => latest.current))
  useEffect(() => store.stop, [store])
  return useSyncExternalStore(store.subscribe, store.read, store.read)
}

/** What outlives the renderings of a component. */
interface Store<F> {
  readonly subscribe: (listener: () => void) => () => void
  readonly read: () => ComponentUploads<F>
  /** Ends the uploads. The server keeps what it has. */
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

  function add(files: ArrayLike<F> | Iterable<F>): void {
    if (uploads === null) uploads = uploadAll(files, followed(options()))
    else uploads.add(files)
    change()
  }

  /** The options, with the callbacks of the last rendering. */
  function followed(first: ComponentOptions<F>): UploadAllOptions<F> {
    controller = new AbortController()
    const { signal } = controller
    return {
      ...first,
      headers: async () => {
        const { headers = {} } = options()
        return typeof headers === 'function' ? headers() : headers
      },
      signal,
      onFile: (upload) => {
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

function stateOf<F>(upload: FileUpload<F>): FileState<F> {
  const { file, url, status, progress, pause, resume, retry, cancel } = upload
  return { file, url, status, progress, pause, resume, retry, cancel }
}
