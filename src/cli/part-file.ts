/**
 * An unfinished download. `FILE.part` holds its bytes, and `FILE.part.json` (the note) the version that
 * they belong to. The note is written before the first byte, so that after a crash no bytes belong to a
 * wrong version.
 *
 * Both names can be predicted. In a folder that other users write to, they can create links or files
 * with these names: the command neither follows, reads nor writes them.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

import type { Destination, Version } from './download.ts'
import { DifferentError } from './exit-codes.ts'
import { hasCode, publish } from './target.ts'

/** Greater than the size of any note, in bytes. */
const MAX_NOTE_SIZE = 64 * 1024

/** Opens the unfinished download of `url` to `file`, or creates it. */
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

/** Opens the file of an earlier command; null if it does not exist. */
async function openOwn(name: string): Promise<FileHandle | null> {
  const before = await lstat(name).catch(ignoreMissing)
  if (before === null) return null
  if (!before.isFile()) throw new Error(`${name} is not a regular file: remove it first`)
  // NONBLOCK: a FIFO that replaced the file since `lstat` would wait for a writer.
  const handle = await open(name, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const { dev, ino, nlink, uid } = await handle.stat()
  const isSame = dev === before.dev && ino === before.ino
  const isOwn = nlink === 1 && (process.getuid === undefined || uid === process.getuid())
  if (isSame && isOwn) return handle
  await handle.close()
  throw new Error(`${name} belongs to another user or has several hard links: remove it first`)
}

async function create(name: string): Promise<FileHandle> {
  return open(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL).catch(
    (error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
      throw new Error(`there is no folder "${path.dirname(name)}"; create it first`)
    },
  )
}

function ignoreMissing(error: unknown): null {
  if (hasCode(error, 'ENOENT')) return null
  throw error
}

/** A download and its target. */
interface Job {
  readonly file: string
  readonly url: string
  readonly overwrite: boolean
}

/** An open download. */
export class PartFile implements Destination {
  readonly #handle: FileHandle
  readonly #job: Job
  #version: Version | null
  #position: number
  #isFinished = false
  /** Hash of the first `#hashed` bytes, while they are written in one go. */
  #hash = createHash('sha256')
  #hashed = 0
  /** The note that this command has written; null before. */
  #note: string | null = null

  constructor(handle: FileHandle, job: Job, version: Version | null, position: number) {
    this.#handle = handle
    this.#job = job
    this.#version = version
    this.#position = position
  }

  /** The version of the bytes; null if it can't be resumed. */
  get version(): Version | null {
    return this.#version
  }

  /** Number of bytes in the file. */
  get position(): number {
    return this.#position
  }

  /** Starts a version from its first byte. */
  async begin(version: Version): Promise<void> {
    // Each note is unique, so that `finish` detects that another command has written one.
    const note = JSON.stringify({ url: this.#job.url, ...version, id: randomUUID() })
    // Removed first, because a link with this name must not be followed.
    await rm(this.#noteName, { force: true })
    await writeFile(this.#noteName, note, { flag: 'wx' })
    this.#note = note
    await this.#handle.truncate(0)
    this.#position = 0
    this.#hash = createHash('sha256')
    this.#hashed = 0
    this.#version = version.etag === null ? null : version
  }

  /** The next bytes go to `position`, over those that follow it. */
  rewind(position: number): void {
    this.#position = position
  }

  /** The SHA-256 of all bytes. Only those of an earlier command, or written twice, are read again. */
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

  /** Forgets the bytes: `close` removes the file. */
  async discard(): Promise<void> {
    await this.begin({ etag: null, size: null })
  }

  /** Adds bytes. */
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
   * Gives the file its final name.
   *
   * @throws DifferentError if a file was created there meanwhile, and must not be replaced.
   */
  async finish(): Promise<void> {
    // The file may hold more bytes of an earlier, longer version.
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

  /** Whether the name still belongs to the open file, and the note is the one of this command. */
  async #isUndisturbed(): Promise<boolean> {
    const [there, { dev, ino }] = await Promise.all([
      lstat(this.#partName).catch(ignoreMissing),
      this.#handle.stat(),
    ])
    if (there === null || there.dev !== dev || there.ino !== ino) return false
    return this.#note === null || (await readNote(this.#noteName)) === this.#note
  }

  /** Closes the file, and removes it if the next command could not resume it. */
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

/** The version in the note; null if the note is missing, damaged or belongs to another URL. */
async function readVersion(file: string, url: string): Promise<Version | null> {
  let note: unknown
  try {
    note = JSON.parse((await readNote(file)) ?? '')
  } catch {
    // A crash has cut the note, so that the version of the bytes is unknown.
    return null
  }
  if (typeof note !== 'object' || note === null) return null
  if (!('url' in note && 'etag' in note && 'size' in note) || note.url !== url) return null
  const { etag, size } = note
  if (typeof etag !== 'string' || (size !== null && typeof size !== 'number')) return null
  return { etag, size }
}

/** The text of a note; null if it does not exist or is not a file of this user. */
async function readNote(file: string): Promise<string | null> {
  const stats = await lstat(file).catch(ignoreMissing)
  if (stats?.isFile() !== true || stats.size > MAX_NOTE_SIZE) return null
  if (process.getuid !== undefined && stats.uid !== process.getuid()) return null
  const flag = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  return readFile(file, { encoding: 'utf8', flag }).catch(() => null)
}
