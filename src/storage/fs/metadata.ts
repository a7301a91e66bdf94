/**
 * Reads the metadata of files by their paths: by synchronous calls where these take microseconds,
 * and by the thread pool everywhere else (`synchronous-calls.ts`). A local file system answers from
 * memory for a file that was used seconds ago.
 */

import { fstatSync, lstatSync, realpathSync } from 'node:fs'
import type { BigIntStats, Stats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ifThere } from './io.ts'
import { METADATA_CALLS } from './synchronous-calls.ts'
import type { OnFileSystem } from './synchronous-calls.ts'

/**
 * Returns the metadata of the file, directory or link at `path`; null if there is none. A symbolic
 * link is not followed.
 */
export async function lstatIfThere(folders: OnFileSystem, path: string): Promise<Stats | null> {
  if (!METADATA_CALLS.areQuick(folders)) return ifThere(lstat(path))
  return METADATA_CALLS.time(folders, () => lstatSync(path, { throwIfNoEntry: false }) ?? null)
}

/**
 * Like `lstatIfThere`, with exact numbers: times in nanoseconds, and inode numbers of 64 bits. Both
 * exceed the integers that a `number` holds exactly.
 */
export async function exactLstatIfThere(
  folders: OnFileSystem,
  path: string,
): Promise<BigIntStats | null> {
  if (!METADATA_CALLS.areQuick(folders)) return ifThere(lstat(path, { bigint: true }))
  return METADATA_CALLS.time(
    folders,
    () => lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null,
  )
}

/**
 * Returns the path with all symbolic links resolved. Throws the errors of `realpath` of node:fs.
 */
export async function realPath(folders: OnFileSystem, path: string): Promise<string> {
  if (!METADATA_CALLS.areQuick(folders)) return realpath(path)
  // `realpathSync.native` makes one system call. It is missing if a library has wrapped `node:fs`.
  const realpathNow = 'native' in realpathSync ? realpathSync.native : realpathSync
  return METADATA_CALLS.time(folders, () => realpathNow(path))
}

/** Returns whether a file, a directory or a link exists at `path`. */
export async function exists(folders: OnFileSystem, path: string): Promise<boolean> {
  return (await lstatIfThere(folders, path)) !== null
}

/** Returns the metadata of an open file. */
export async function statOf(folders: OnFileSystem, file: FileHandle): Promise<Stats> {
  if (!METADATA_CALLS.areQuick(folders)) return file.stat()
  return METADATA_CALLS.time(folders, () => fstatSync(file.fd))
}
