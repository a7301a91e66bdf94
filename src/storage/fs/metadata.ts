/**
 * Looks up files and directories by path: on the thread of the event loop where that takes microseconds,
 * on the thread pool everywhere else.
 *
 * A local file system answers from memory for a file that was used seconds ago, in a tenth of the time that
 * a thread of the pool takes to wake up. Synchronous calls would stop all requests of the process while a
 * disk is slow or a server does not answer, so they are made under two conditions only: the file system is
 * one of the local ones below, and the calls before were quick.
 */

import { lstatSync, realpathSync, statfsSync } from 'node:fs'
import type { BigIntStats, Stats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { ifThere } from './io.ts'

/** The folders of a store: the staging directory is on the file system of the files. */
interface OnFileSystem {
  readonly staging: string
}

/**
 * The local file systems of Linux by their magic number (statfs(2)): ext2 to ext4, XFS, Btrfs, F2FS, ZFS,
 * tmpfs and overlayfs. NFS, SMB and FUSE are left out, because a call may wait for a network, and because
 * they may report attributes of some seconds ago unless the file is opened.
 */
const LOCAL: readonly number[] = [
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630,
]

/** A call that takes longer than this many milliseconds is slow. */
const SLOW = 2
/**
 * How many milliseconds slow calls may have cost beyond that before the thread pool is used. A busy
 * processor delays one call in a hundred by its time slice, so each quick call makes up for a part; and no
 * single call decides, however long it took.
 */
const MOST_DELAY = 40
const MOST_DELAY_OF_ONE = 15
const REPAID_BY_QUICK = 0.25
/** How long the thread pool is then used, in milliseconds. */
const PAUSE = 10_000

/** Decides how the metadata of one file system is read. */
class CallTimes {
  readonly #isLocal: boolean
  #delay = 0
  #pausedUntil = -Infinity

  constructor({ staging }: OnFileSystem) {
    this.#isLocal = process.platform === 'linux' && LOCAL.includes(typeOf(staging))
  }

  isQuick(): boolean {
    return this.#isLocal && performance.now() >= this.#pausedUntil
  }

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
    return -1 // The calls themselves report what is wrong.
  }
}

/** Returns whether a synchronous call on this file system is expected to take microseconds. */
export function isQuick(folders: OnFileSystem): boolean {
  return timesOf(folders).isQuick()
}

/** Makes one synchronous call, and takes its time into account. */
export function timed<T>(folders: OnFileSystem, call: () => T): T {
  const began = performance.now()
  try {
    return call()
  } finally {
    timesOf(folders).note(began)
  }
}

/** The metadata of what is at `path`; null if nothing is. A symbolic link is not followed. */
export async function lstatIfThere(folders: OnFileSystem, path: string): Promise<Stats | null> {
  if (!isQuick(folders)) return ifThere(lstat(path))
  return timed(folders, () => lstatSync(path, { throwIfNoEntry: false }) ?? null)
}

/** Like `lstatIfThere`, with numbers that are exact: times in nanoseconds, 64 bits for an inode. */
export async function exactLstatIfThere(
  folders: OnFileSystem,
  path: string,
): Promise<BigIntStats | null> {
  if (!isQuick(folders)) return ifThere(lstat(path, { bigint: true }))
  return timed(folders, () => lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null)
}

/** The path without symbolic links. Throws as `realpath` of node:fs. */
export async function realPath(folders: OnFileSystem, path: string): Promise<string> {
  if (!isQuick(folders)) return realpath(path)
  // A program that wraps the functions of node:fs may have lost this property.
  const realpathNow = 'native' in realpathSync ? realpathSync.native : realpathSync
  return timed(folders, () => realpathNow(path))
}
