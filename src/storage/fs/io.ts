/** Reads, writes and fsyncs single files, and classifies the errors of the system. */

import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { chmod, open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { UploadError } from '../../errors.ts'

/**
 * Bytes in the buffers of all downloads of this process together, about. Large reads halve the cost
 * of a download. But a client that has stopped receiving holds its buffer for as long as it is
 * connected, so that each of many downloads gets a smaller buffer.
 */
const ALL_READING = 32 * 1024 * 1024
const LEAST_READ = 64 * 1024
const LARGEST_READ = 256 * 1024

/** Downloads in progress, each of which holds one buffer. */
let readers = 0

/**
 * Returns the bytes of the next read: between 64 and 256 KiB, the fewer the more downloads there
 * are.
 */
function readSize(): number {
  return Math.min(LARGEST_READ, Math.max(LEAST_READ, Math.floor(ALL_READING / readers)))
}

const { O_RDONLY, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants
/**
 * Flags to open a file for reading. A symbolic link is refused, because it may lead out of the
 * directory, and a pipe that another program has put at the path does not block the thread.
 */
export const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
/** Flags to open a file for reading and writing, with the same protection. */
export const READ_WRITE = O_RDWR | O_NOFOLLOW | O_NONBLOCK

/**
 * Whether this process runs on Windows, whose file systems have no fsync of directories and refuse
 * to rename over an open file.
 */
export const IS_WINDOWS = process.platform === 'win32'

/**
 * The part of a `FileHandle` that reading needs. A file that is read through its layers implements
 * it too (`layers/layered-file.ts`).
 */
export interface ReadableFile {
  /**
   * Reads at most `length` bytes, from `position` of the file on, into `buffer` from `offset` on.
   * Resolves to the number of bytes read, which is 0 at the end of the file.
   */
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  /** Closes the file. */
  close(): Promise<void>
}

/** Returns the code of a system error, such as `ENOENT`; null for any other value. */
export function errorCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  // libuv has no name for EDQUOT (122 on Linux), so that Node reports the number alone.
  if ('errno' in error && error.errno === -122) return 'EDQUOT'
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}

/**
 * Returns whether a write has failed for lack of room: a full disk (ENOSPC), an exceeded quota
 * (EDQUOT), or a file larger than the system allows (EFBIG).
 */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(errorCode(error) ?? '')
}

/**
 * Awaits `work`. A failure for lack of room becomes `ERR_STORAGE_FULL` (507), which the client can
 * understand; other errors pass unchanged.
 */
export async function reportFull<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (isFull(cause)) {
      throw new UploadError('ERR_STORAGE_FULL', { detail: 'the storage has no room left', cause })
    }
    throw cause
  }
}

/**
 * Awaits a call of the file system. Returns null if the file does not exist (ENOENT), because
 * another process may remove a file at any time before the call.
 */
export async function ifThere<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Opens a file. Returns null if it does not exist or is a symbolic link. */
export async function openIfThere(path: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, flags)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ELOOP') return null
    throw error
  }
}

/**
 * Reads a file, with one call if it is shorter than `size` bytes. Returns null if it does not
 * exist, or is not a regular file.
 */
export async function readWhole(path: string, size: number): Promise<Buffer | null> {
  const file = await openIfThere(path, READ)
  if (file === null) return null
  try {
    // `readFile` would stat the file first, and the system calls are most of the cost of a HEAD.
    const buffer = Buffer.allocUnsafe(size)
    const { bytesRead } = await file.read(buffer, 0, size, 0)
    return bytesRead < size ? buffer.subarray(0, bytesRead) : await file.readFile()
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ESPIPE' || code === 'EISDIR') return null
    throw error
  } finally {
    await file.close()
  }
}

/**
 * Writes all of `chunks` to the file, from `position` on. This takes one system call, unless the
 * system writes only a part of the bytes, as it may on a disk that is nearly full.
 */
export async function writeAll(
  file: FileHandle,
  position: number,
  chunks: readonly Uint8Array[],
): Promise<void> {
  let rest = chunks.filter((chunk) => chunk.length > 0)
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at)
    at += bytesWritten
    rest = withoutStart(rest, bytesWritten)
  }
}

/**
 * Reads from `position` on until `bytes` is full.
 *
 * @throws Error when the file ends before.
 */
export async function readFully(
  file: ReadableFile,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let filled = 0
  while (filled < bytes.length) {
    const at = position + filled
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, at)
    if (bytesRead === 0) throw new Error(`the file ends at ${at}`)
    filled += bytesRead
  }
}

/** Returns the number of bytes in `chunks`. */
export function totalLength(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}

/** Returns the rest of `chunks` after their first `length` bytes. */
export function withoutStart(chunks: readonly Uint8Array[], length: number): Uint8Array[] {
  let left = length
  let index = 0
  for (const chunk of chunks) {
    if (left < chunk.length) return [chunk.subarray(left), ...chunks.slice(index + 1)]
    left -= chunk.length
    index += 1
  }
  return []
}

/**
 * Reads the bytes of one version from an open file. `close` waits for the read in progress: the
 * system gives the number of a closed file to the next file that is opened, in any request of this
 * process, and the pending read would return bytes of that file.
 */
export class FileReader {
  readonly #file: ReadableFile
  readonly #check: () => void
  #pending: Promise<unknown> = Promise.resolve()

  /**
   * Takes over `file`, which `close` closes. `check` is called after each read, and throws if the
   * bytes that were just read may be those of another version.
   */
  constructor(file: ReadableFile, check: () => void) {
    this.#file = file
    this.#check = check
  }

  /**
   * Yields the bytes `start` to `end` (exclusive), each chunk in a new buffer, because the caller
   * may keep the last chunk while it waits for its client.
   */
  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    readers += 1
    try {
      for (let at = start; at < end;) {
        const bytes = await this.#readAt(at, Math.min(readSize(), end - at))
        if (bytes.length === 0) throw new Error(`the file ends at ${at}, its version at ${end}`)
        yield bytes
        at += bytes.length
      }
    } finally {
      readers -= 1
    }
  }

  async #readAt(position: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(length)
    const reading = this.#file.read(buffer, 0, length, position)
    this.#pending = reading
    const { bytesRead } = await reading
    this.#check()
    return buffer.subarray(0, bytesRead)
  }

  /** Closes the file, after the read in progress. A second call does nothing. */
  async close(): Promise<void> {
    await this.#pending.catch(() => {}) // The caller of `read` gets the error.
    await this.#file.close()
  }
}

/**
 * Gives a file the permissions of the file that it will replace, and its owner and group as far as
 * this process is allowed to. If the group can't be kept, the permissions of the group are dropped,
 * because they would apply to the members of another group. Returns the permissions.
 */
export async function adoptMode(file: FileHandle, replaced: BigIntStats): Promise<number> {
  const { uid, gid } = await file.stat({ bigint: true })
  const may = async (owner: bigint, group: bigint): Promise<boolean> =>
    (owner === uid && group === gid) ||
    file.chown(Number(owner), Number(group)).then(
      () => true,
      () => false,
    )
  const isSameGroup = (await may(replaced.uid, replaced.gid)) || (await may(uid, replaced.gid))
  const all = Number(replaced.mode & 0o777n)
  const mode = isSameGroup ? all : all & ~0o070
  await file.chmod(mode)
  return mode
}

/**
 * Makes the copy of a read-only file readable and writable for this process, which has to change
 * it.
 */
export async function makeWritable(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o600) !== 0o600) await chmod(path, (mode & 0o777) | 0o600)
}

/** Makes the content of a file durable, or the entries of a directory, by fsync. */
export async function sync(path: string): Promise<void> {
  // Windows has no fsync of a directory, and refuses the fsync of a file that is open for reading
  // only.
  if (IS_WINDOWS && (await stat(path)).isDirectory()) return
  const file = await open(path, IS_WINDOWS ? READ_WRITE : READ)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
