/**
 * A download that is not finished: its bytes in `FILE.part`, the version that they belong to in
 * `FILE.part.json`. The version is written before its first byte, so that a crash leaves no bytes
 * under a wrong one.
 */
import { constants } from 'node:fs'
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

import type { Destination, Version } from './download.ts'

/** Opens the unfinished download of `url` to `file`, or begins one. */
export async function openPart(file: string, url: string): Promise<PartFile> {
  const handle = await open(`${file}.part`, constants.O_RDWR | constants.O_CREAT).catch(
    (error: unknown) => {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      throw isMissing ? new Error(`there is no folder "${path.dirname(file)}"`) : error
    },
  )
  try {
    const version = await readVersion(`${file}.part.json`, url)
    const { size } = await handle.stat()
    const fits = version !== null && size <= (version.size ?? size)
    return new PartFile(handle, file, url, fits ? version : null, fits ? size : 0)
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** An open download. */
export class PartFile implements Destination {
  readonly #handle: FileHandle
  readonly #file: string
  readonly #url: string
  #version: Version | null
  #position: number
  #isFinished = false

  constructor(
    handle: FileHandle,
    file: string,
    url: string,
    version: Version | null,
    position: number,
  ) {
    this.#handle = handle
    this.#file = file
    this.#url = url
    this.#version = version
    this.#position = position
  }

  /** What the bytes so far belong to; null if there are none that could be continued. */
  get version(): Version | null {
    return this.#version
  }

  /** How many bytes are there. */
  get position(): number {
    return this.#position
  }

  /** Begins a version from its first byte. */
  async begin(version: Version): Promise<void> {
    await this.#handle.truncate(0)
    this.#position = 0
    this.#version = version.etag === null ? null : version
    if (version.etag === null) await rm(this.#note, { force: true })
    else await writeFile(this.#note, JSON.stringify({ url: this.#url, ...version }))
  }

  /** Has the bytes from `position` on written again. */
  rewind(position: number): void {
    this.#position = position
  }

  /** Adds bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      const rest = bytes.subarray(at)
      const { bytesWritten } = await this.#handle.write(rest, 0, rest.byteLength, this.#position)
      this.#position += bytesWritten
      at += bytesWritten
    }
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    // After an answer that was longer than it said.
    await this.#handle.truncate(this.#position)
    await this.#handle.sync()
    await rename(this.#part, this.#file)
    this.#isFinished = true
    await rm(this.#note, { force: true })
  }

  /** Closes what is open; of a download that has not begun nothing is left. */
  async close(): Promise<void> {
    await this.#handle.close()
    if (this.#isFinished || this.#position > 0) return
    await rm(this.#part, { force: true })
    await rm(this.#note, { force: true })
  }

  get #part(): string {
    return `${this.#file}.part`
  }

  get #note(): string {
    return `${this.#file}.part.json`
  }
}

/** The version that is written down, if it is one of this URL. */
async function readVersion(file: string, url: string): Promise<Version | null> {
  let note: unknown
  try {
    note = JSON.parse(await readFile(file, 'utf8'))
  } catch {
    // Not there, or cut: then the bytes are of no known version.
    return null
  }
  if (typeof note !== 'object' || note === null) return null
  if (!('url' in note && 'etag' in note && 'size' in note) || note.url !== url) return null
  const { etag, size } = note
  if (typeof etag !== 'string' || (size !== null && typeof size !== 'number')) return null
  return { etag, size }
}
