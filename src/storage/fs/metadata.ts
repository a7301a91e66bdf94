/**
 * Reads the metadata of files by their paths: by synchronous calls where these take microseconds,
 * and by the thread pool everywhere else.
 *
 * A local file system answers from memory for a file that was used seconds ago, in a tenth of the
 * time that a thread of the pool needs to wake up. Synchronous calls stop all requests of the
 * process, though, while a disk is slow or a file server does not answer. They are therefore made
 * under two conditions only: the file system is one of the local ones below, and the calls before
 * were quick.
 */

import { lstatSync, realpathSync, statfsSync } from 'node:fs'
import type { BigIntStats, Stats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { ifThere } from './io.ts'

/** The directories of a store. The staging directory is on the same file system as the files. */
interface OnFileSystem {
  readonly staging: string
}

/**
 * Local file systems of Linux, by the magic number that statfs(2) returns: ext2 to ext4, XFS,
 * Btrfs, F2FS, ZFS, tmpfs and overlayfs. NFS, SMB and FUSE are left out, because a call may wait
 * for a network, and because they may report metadata of some seconds ago unless the file is
 * opened.
 */
const LOCAL: readonly number[] = [
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630,
]

/** A call that takes longer than this number of milliseconds is slow. */
const SLOW = 2
/**
 * Milliseconds that slow calls may have cost together before the thread pool is used. One slow call
 * does not decide: on a busy processor, one call in a hundred waits for the process's next time
 * slice. Each slow call therefore counts at most `MOST_DELAY_OF_ONE`, and each quick one takes a
 * part back.
 */
const MOST_DELAY = 40
const MOST_DELAY_OF_ONE = 15
const REPAID_BY_QUICK = 0.25
/** Milliseconds for which the thread pool is then used. */
const PAUSE = 10_000

/** Decides how the metadata of one file system is read, from the durations of the calls so far. */
class CallTimes {
  readonly #isLocal: boolean
  #delay = 0
  #pausedUntil = -Infinity

  constructor({ staging }: OnFileSystem) {
    this.#isLocal = process.platform === 'linux' && LOCAL.includes(typeOf(staging))
  }

  /** Returns whether the next call may be synchronous. */
  isQuick(): boolean {
    return this.#isLocal && performance.now() >= this.#pausedUntil
  }

  /** Takes into account a synchronous call that has begun at `began`, by `performance.now()`. */
  note(began: number): void {
    const end = performance.now()
    const delay = Math.min(MOST_DELAY_OF_ONE, end - began - SLOW)
    this.#delay = Math.max(0, this.#delay + (delay > 0 ? delay : -REPAID_BY_QUICK))
    if (this.#delay < MOST_DELAY) return
    this.#delay = 0
    this.#pausedUntil = end + PAUSE
  }
}

const TIMES = new Map<string, CallTimes>()

function timesOf(folders: OnFileSystem): CallTimes {
  const known = TIMES.get(folders.staging)
  if (known !== undefined) return known
  const times = new CallTimes(folders)
  TIMES.set(folders.staging, times)
  return times
}

function typeOf(directory: string): number {
  try {
    return statfsSync(directory).type
  } catch {
    return -1 // The first real call reports the error.
  }
}

/** Returns whether a synchronous call on this file system is expected to take microseconds. */
export function isQuick(folders: OnFileSystem): boolean {
  return timesOf(folders).isQuick()
}

/** Makes one synchronous call, and takes its duration into account for the next ones. */
export function timed<T>(folders: OnFileSystem, call: () => T): T {
  const began = performance.now()
  try {
    return call()
  } finally {
    timesOf(folders).note(began)
  }
}

/**
 * Returns the metadata of the file, directory or link at `path`; null if there is none. A symbolic
 * link is not followed.
 */
export async function lstatIfThere(folders: OnFileSystem, path: string): Promise<Stats | null> {
  if (!isQuick(folders)) return ifThere(lstat(path))
  return timed(folders, () => lstatSync(path, { throwIfNoEntry: false }) ?? null)
}

/**
 * Like `lstatIfThere`, with exact numbers: times in nanoseconds, and inode numbers of 64 bits. Both
 * exceed the integers that a `number` holds exactly.
 */
export async function exactLstatIfThere(
  folders: OnFileSystem,
  path: string,
): Promise<BigIntStats | null> {
  if (!isQuick(folders)) return ifThere(lstat(path, { bigint: true }))
  return timed(folders, () => lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null)
}

/**
 * Returns the path with all symbolic links resolved. Throws the errors of `realpath` of node:fs.
 */
export async function realPath(folders: OnFileSystem, path: string): Promise<string> {
  if (!isQuick(folders)) return realpath(path)
  // `realpathSync.native` makes one system call. It is missing if a library has wrapped `node:fs`.
  const realpathNow = 'native' in realpathSync ? realpathSync.native : realpathSync
  return timed(folders, () => realpathNow(path))
}
