/** The file of the version that a write begins with. */

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { READ_WRITE } from './io.ts'
import type { ReadableFile } from './io.ts'
import type { ResourcePaths } from './paths.ts'
import { openSource } from './reader.ts'
import type { Complete, Incomplete } from './version.ts'

/** Opens the file at the first use, because many writes replace or copy it without reading it. */
export class SourceFile {
  readonly #paths: ResourcePaths
  #finished: ReadableFile | null = null
  #upload: FileHandle | null = null

  constructor(paths: ResourcePaths) {
    this.#paths = paths
  }

  /** Opens the source for reading. */
  open(source: Incomplete | Complete): Promise<ReadableFile> {
    return source.kind === 'complete' ? this.openFinished(source) : this.openUpload(source)
  }

  /** Opens a finished source, through its layers. */
  async openFinished(source: Complete): Promise<ReadableFile> {
    this.#finished ??= await openSource(this.#paths, source)
    return this.#finished
  }

  /** Opens the data file of an incomplete source for reading and writing. */
  async openUpload({ path }: Incomplete): Promise<FileHandle> {
    this.#upload ??= await open(path, READ_WRITE)
    return this.#upload
  }

  /** Closes the file, if it was opened. */
  async close(): Promise<void> {
    await Promise.all([this.#finished?.close(), this.#upload?.close()])
  }
}
