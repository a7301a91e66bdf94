/**
 * An incomplete download on the disk. `FILE.part` holds its bytes. `FILE.part.json` (the note)
 * records the URL and the version that they belong to, so that a later command can continue the
 * download. The note of a version is written before its first byte.
 *
 * Both names can be predicted. In a folder that several users can write to, such as /tmp, another
 * user may create a link, a named pipe or a file with one of these names, to make the command
 * overwrite or reveal a file. The command follows no links, and refuses files that do not belong to
 * its user alone.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

import type { Destination, Version } from './destination.ts'
import { DifferentError } from './exit-codes.ts'
import { hasCode, publish } from './target.ts'

/** Largest size of a note that is read, in bytes. A larger file is not a note of this command. */
const MAX_NOTE_SIZE = 64 * 1024

/**
 * Opens the incomplete download of `url` to `file`, or creates an empty one. It continues after the
 * stored bytes if the note is about this URL and a version with an entity tag.
 *
 * @throws Error if `FILE.part` is not a regular file of this user alone, or can't be created.
 */
export async function openPart(file: string, url: string, overwrite: boolean): Promise<PartFile> {
  const name = `${file}.part`
  const handle = (await openOwn(name)) ?? (await create(name))
  try {
    const version = await readVersion(`${file}.part.json`, url)
    const { size } = await handle.stat()
    const fits = version !== null && size <= (version.size ?? size)
    return new PartFile(handle, { file, url, overwrite }, fits ? version : null, fits ? size : 0)
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Opens the `FILE.part` of an earlier command; null if it does not exist. */
async function openOwn(name: string): Promise<FileHandle | null> {
  const before = await lstat(name).catch(ignoreMissing)
  if (before === null) return null
  if (!before.isFile()) throw new Error(`${name} is not a regular file: remove it first`)
  // Another user may replace the file by a named pipe between `lstat` and `open`. Without
  // O_NONBLOCK, `open` would wait until a program writes to the pipe.
  const handle = await open(name, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const { dev, ino, nlink, uid } = await handle.stat()
  const isSame = dev === before.dev && ino === before.ino
  const isOwn = nlink === 1 && (process.getuid === undefined || uid === process.getuid())
  if (isSame && isOwn) return handle
  await handle.close()
  throw new Error(`${name} belongs to another user or has several hard links: remove it first`)
}

/** Creates `FILE.part`. Fails if anything with this name exists, even a symbolic link. */
async function create(name: string): Promise<FileHandle> {
  return open(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL).catch(
    (error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
      throw new Error(`there is no folder "${path.dirname(name)}"; create it first`)
    },
  )
}

/** Returns null for the error that a file does not exist, and throws every other one. */
function ignoreMissing(error: unknown): null {
  if (hasCode(error, 'ENOENT')) return null
  throw error
}

/** What a `FILE.part` is for. */
interface Job {
  /** Final path of the file. */
  readonly file: string
  readonly url: string
  readonly overwrite: boolean
}

/** An open `FILE.part`. */
export class PartFile implements Destination {
  readonly #handle: FileHandle
  readonly #job: Job
  #version: Version | null
  #position: number
  #isFinished = false
  /** Hash of the first `#hashed` bytes. It is updated as long as bytes are written in order. */
  #hash = createHash('sha256')
  #hashed = 0
  /** The text of the note that this command has written; null if it has not written one yet. */
  #note: string | null = null

  constructor(handle: FileHandle, job: Job, version: Version | null, position: number) {
    this.#handle = handle
    this.#job = job
    this.#version = version
    this.#position = position
  }

  /** The version that the bytes belong to; null if they can't be continued. */
  get version(): Version | null {
    return this.#version
  }

  /** Number of bytes that belong to the version, and position of the next one. */
  get position(): number {
    return this.#position
  }

  /** Discards the bytes, and starts with the first byte of a version. */
  async begin(version: Version): Promise<void> {
    // The random number makes each note unique. If another command downloads to the same file, it
    // writes a note of its own, and `finish` detects that.
    const note = JSON.stringify({ url: this.#job.url, ...version, id: randomUUID() })
    // The order matters if the command is killed: a later one must not find the note of the new
    // version beside bytes of the old one, because it would continue the download after them.
    await rm(this.#noteName, { force: true })
    await this.#handle.truncate(0)
    // Writing to an existing file could follow a link. The file is created only if the name is
    // still free.
    await writeFile(this.#noteName, note, { flag: 'wx' })
    this.#note = note
    this.#position = 0
    this.#hash = createHash('sha256')
    this.#hashed = 0
    this.#version = version.etag === null ? null : version
  }

  /** Sets the position. The next bytes overwrite those after it. */
  rewind(position: number): void {
    this.#position = position
  }

  /**
   * Returns the SHA-256 of all bytes before the position, as `sha-256=:…:`. The file has to be read
   * only if an earlier command has written a part of it, or if bytes were overwritten.
   */
  async digest(): Promise<string> {
    if (this.#hashed !== this.#position) {
      this.#hash = createHash('sha256')
      const bytes: AsyncIterable<Buffer> = this.#handle.createReadStream({
        start: 0,
        end: this.#position - 1,
        autoClose: false,
      })
      for await (const chunk of bytes) this.#hash.update(chunk)
      this.#hashed = this.#position
    }
    return `sha-256=:${this.#hash.copy().digest('base64')}:`
  }

  /** Discards the bytes, because their digest is wrong. `close` then removes the file. */
  async discard(): Promise<void> {
    await this.begin({ etag: null, size: null })
  }

  /** Writes bytes at the position, and moves it behind them. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#hashed === this.#position) {
      this.#hash.update(bytes)
      this.#hashed += bytes.byteLength
    }
    for (let at = 0; at < bytes.byteLength;) {
      const rest = bytes.subarray(at)
      const { bytesWritten } = await this.#handle.write(rest, 0, rest.byteLength, this.#position)
      this.#position += bytesWritten
      at += bytesWritten
    }
  }

  /**
   * Writes the file to the disk, and gives it its final name.
   *
   * @throws DifferentError if another command has written to `FILE.part`, or if another program has
   * created the final file, which must not be replaced.
   */
  async finish(): Promise<void> {
    // After `rewind` the file may have bytes behind the position.
    await this.#handle.truncate(this.#position)
    await this.#handle.sync()
    if (!(await this.#isUndisturbed())) {
      throw new DifferentError(
        `another command has written to ${this.#partName}; download to one file with one command at a time`,
      )
    }
    await publish(this.#handle, this.#partName, this.#job.file, this.#job.overwrite)
    this.#isFinished = true
    await rm(this.#noteName, { force: true })
  }

  /**
   * Whether `FILE.part` is still the open file, and the note is still the one that this command has
   * written.
   */
  async #isUndisturbed(): Promise<boolean> {
    const [there, { dev, ino }] = await Promise.all([
      lstat(this.#partName).catch(ignoreMissing),
      this.#handle.stat(),
    ])
    if (there === null || there.dev !== dev || there.ino !== ino) return false
    return this.#note === null || (await readNote(this.#noteName)) === this.#note
  }

  /** Closes the file, and removes it if a later command could not continue it. */
  async close(): Promise<void> {
    await this.#handle.close()
    if (this.#isFinished || (this.#position > 0 && this.#version !== null)) return
    await rm(this.#partName, { force: true })
    await rm(this.#noteName, { force: true })
  }

  get #partName(): string {
    return `${this.#job.file}.part`
  }

  get #noteName(): string {
    return `${this.#job.file}.part.json`
  }
}

/**
 * Reads the version in a note. Null if the note is missing or damaged, or belongs to another URL.
 */
async function readVersion(file: string, url: string): Promise<Version | null> {
  let note: unknown
  try {
    note = JSON.parse((await readNote(file)) ?? '')
  } catch {
    // A crash has left an incomplete note, so that the version of the bytes is unknown.
    return null
  }
  if (typeof note !== 'object' || note === null) return null
  if (!('url' in note && 'etag' in note && 'size' in note) || note.url !== url) return null
  const { etag, size } = note
  if (typeof etag !== 'string' || (size !== null && typeof size !== 'number')) return null
  return { etag, size }
}

/**
 * Reads the text of a note; null if it does not exist, is too large, or is not a regular file of
 * this user.
 */
async function readNote(file: string): Promise<string | null> {
  const stats = await lstat(file).catch(ignoreMissing)
  if (stats?.isFile() !== true || stats.size > MAX_NOTE_SIZE) return null
  if (process.getuid !== undefined && stats.uid !== process.getuid()) return null
  const flag = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  return readFile(file, { encoding: 'utf8', flag }).catch(() => null)
}
