/**
 * Decides which calls of the file system are synchronous. A call that the system answers from
 * memory takes a tenth of the time that a thread of the pool needs to wake up. But a synchronous
 * call stops all requests of the process while a disk is slow or a file server does not answer.
 * Calls are therefore synchronous under two conditions only: the file system is one of the local
 * ones below, and the calls of the same kind before were quick.
 */

import { statfsSync } from 'node:fs'

/** The directories of a store. The staging directory is on the same file system as the files. */
export interface OnFileSystem {
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

/** The durations of the calls of one kind on one file system. */
class CallTimes {
  readonly #isLocal: boolean
  #delay = 0
  #pausedUntil = -Infinity

  constructor({ staging }: OnFileSystem) {
    this.#isLocal = process.platform === 'linux' && LOCAL.includes(typeOf(staging))
  }

  areQuick(): boolean {
    return this.#isLocal && performance.now() >= this.#pausedUntil
  }

  /** Takes into account a call that has begun at `began`, by `performance.now()`. */
  note(began: number): void {
    const end = performance.now()
    const delay = Math.min(MOST_DELAY_OF_ONE, end - began - SLOW)
    this.#delay = Math.max(0, this.#delay + (delay > 0 ? delay : -REPAID_BY_QUICK))
    if (this.#delay < MOST_DELAY) return
    this.#delay = 0
    this.#pausedUntil = end + PAUSE
  }
}

/** Calls of one kind, on any file system. */
export class SynchronousCalls {
  /** By the path of the staging directory. */
  readonly #times = new Map<string, CallTimes>()

  /** Returns whether a synchronous call on this file system is expected to take microseconds. */
  areQuick(folders: OnFileSystem): boolean {
    return this.#timesOf(folders).areQuick()
  }

  /** Makes one synchronous call, and takes its duration into account for the next ones. */
  time<T>(folders: OnFileSystem, call: () => T): T {
    const began = performance.now()
    try {
      return call()
    } finally {
      this.#timesOf(folders).note(began)
    }
  }

  #timesOf(folders: OnFileSystem): CallTimes {
    const known = this.#times.get(folders.staging)
    if (known !== undefined) return known
    const times = new CallTimes(folders)
    this.#times.set(folders.staging, times)
    return times
  }
}

/** Calls that read metadata. */
export const METADATA_CALLS = new SynchronousCalls()

/**
 * Writes of a few bytes. They have durations of their own, because a disk that is too slow for the
 * uploads delays writes and not the metadata in memory: the quick calls for metadata would hide the
 * slow writes.
 */
export const SMALL_WRITES = new SynchronousCalls()

function typeOf(directory: string): number {
  try {
    return statfsSync(directory).type
  } catch {
    return -1 // The first real call reports the error.
  }
}
