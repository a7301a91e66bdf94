/** The file of the version from which an atomic write starts. */

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { READ_WRITE } from './io.ts'
import type { ReadableFile } from './io.ts'
import type { ResourcePaths } from './paths.ts'
import { openSource } from './reader.ts'
import type { Complete, Incomplete } from './version.ts'

/**
 * Opens the file at the first use, because many writes replace or copy it without reading it here.
 */
export class SourceFile {
  readonly #paths: ResourcePaths
  #finished: ReadableFile | null = null
  #upload: FileHandle | null = null

  constructor(paths: ResourcePaths) {
    this.#paths = paths
  }

  /** Opens the source for reading, finished or not. */
  open(source: Incomplete | Complete): Promise<ReadableFile> {
    return source.kind === 'complete' ? this.openFinished(source) : this.openUpload(source)
  }

  /** Opens a finished source for reading, with its layers if it has any. */
  async openFinished(source: Complete): Promise<ReadableFile> {
    this.#finished ??= await openSource(this.#paths, source)
    return this.#finished
  }

  /**
   * Opens the data file of an incomplete source. It is writable because an append goes to its end,
   * and because Windows refuses the fsync of a file that is open for reading only.
   */
  async openUpload({ path }: Incomplete): Promise<FileHandle> {
    this.#upload ??= await open(path, READ_WRITE)
    return this.#upload
  }

  /** Closes the file, if it was opened. */
  async close(): Promise<void> {
    await Promise.all([this.#finished?.close(), this.#upload?.close()])
  }
}
