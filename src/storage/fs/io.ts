/** Reading, writing and fsync of single files. */

import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { chmod, open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { UploadError } from '../../errors.ts'

/**
 * Bytes in the buffers of all readers together. Large reads halve the cost of a download, but each client
 * that has stopped receiving holds one buffer, so that many readers get smaller ones.
 */
const ALL_READING = 32 * 1024 * 1024
const LEAST_READ = 64 * 1024
const LARGEST_READ = 256 * 1024

/** Reads in progress, each of which holds one buffer. */
let readers = 0

function readSize(): number {
  return Math.min(LARGEST_READ, Math.max(LEAST_READ, Math.floor(ALL_READING / readers)))
}

const { O_RDONLY, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants
/** To read a file: no symbolic link is followed, and a pipe does not block. */
export const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
/** To read and write a file, likewise. */
export const READ_WRITE = O_RDWR | O_NOFOLLOW | O_NONBLOCK

/** Whether the store runs on Windows. */
export const IS_WINDOWS = process.platform === 'win32'

/** What reading needs of an open file: a `FileHandle`, or a file whose layers are applied. */
export interface ReadableFile {
  /** Reads at most `length` bytes from `position` on into `buffer`, as a `FileHandle` does. */
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  /** Closes it. */
  close(): Promise<void>
}

/** The code of a system error such as `ENOENT`; null for any other error. */
export function errorCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  // libuv has no name for EDQUOT, so that Node reports only the number.
  if ('errno' in error && error.errno === -122) return 'EDQUOT'
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** Returns whether an error means a full disk, an exceeded quota or a file that is too large. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(errorCode(error) ?? '')
}

/** Turns an error that `isFull` recognises into `ERR_STORAGE_FULL`; other errors pass. */
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

/** Awaits `work`; null if it fails with ENOENT. */
export async function ifThere<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Opens a file; null if it is missing or a symbolic link. */
export async function openIfThere(path: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, flags)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ELOOP') return null
    throw error
  }
}

/** Reads a file, with one call if it is shorter than `size`; null if it is missing or not a regular file. */
export async function readWhole(path: string, size: number): Promise<Buffer | null> {
  const file = await openIfThere(path, READ)
  if (file === null) return null
  try {
    // One call, where `readFile` would stat the file first: the calls are most of the cost of a HEAD.
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

/** Writes all of `chunks` from `position` on, in one system call unless the system writes less. */
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
    rest = without(rest, bytesWritten)
  }
}

/** Fills `bytes` with those of the file from `position` on. */
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

function without(chunks: readonly Uint8Array[], length: number): Uint8Array[] {
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
 * Reads a file. `close` waits for the read in progress, because the system reuses the number of a closed
 * file at once, and the read would get bytes of another file.
 */
export class FileReader {
  readonly #file: ReadableFile
  readonly #check: () => void
  #pending: Promise<unknown> = Promise.resolve()

  /** Takes over `file`. `check` throws when bytes that were just read must not be shown. */
  constructor(file: ReadableFile, check: () => void) {
    this.#file = file
    this.#check = check
  }

  /** Yields a new buffer each time, because the caller may keep it. */
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

  /** Closes the file. Does nothing the second time. */
  async close(): Promise<void> {
    await this.#pending.catch(() => {}) // The error goes to the caller of `read`.
    await this.#file.close()
  }
}

/**
 * Gives a file the permissions of the file that it will replace, and its owner and group as far as this
 * process is allowed to. If the group can't be kept, its permissions are dropped, because they were meant
 * for another group. Returns the permissions.
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

/** Makes the copy of a read-only file writable for this process. */
export async function makeWritable(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o600) !== 0o600) await chmod(path, (mode & 0o777) | 0o600)
}

/** Makes a file durable, or the entries of a directory. */
export async function sync(path: string): Promise<void> {
  // Windows has no fsync of a directory, and none of a file that is open for reading alone.
  if (IS_WINDOWS && (await stat(path)).isDirectory()) return
  const file = await open(path, IS_WINDOWS ? READ_WRITE : READ)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
