/**
 * Handles file systems whose times are whole seconds: ext4 with inodes of 128 bytes, ext3, HFS+,
 * FAT, and some servers of NFS. On these a file can have the inode number, the size and the times
 * of an earlier file at its path, so that its fingerprint does not distinguish the two:
 *
 *     10.1 s  file 1 is at the path
 *     10.2 s  file 2 is renamed onto it, so that the system frees inode number 1
 *     10.3 s  another file gets inode number 1 and is renamed onto the path
 */

import { futimesSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { openIfThere, READ } from './io.ts'

/** One second in nanoseconds. */
export const SECOND = 1_000_000_000n

/**
 * Longest step of file times in seconds. FAT counts in steps of two seconds, and the clock of file
 * times lags behind that of the process by some milliseconds.
 */
const LONGEST_STEP = 3

/**
 * Returns whether the next file at the path may have the same inode number and the same times as
 * the file with these metadata, which was changed in the last seconds.
 */
export function mayComeBack({ ctimeNs }: BigIntStats): boolean {
  const countsSeconds = ctimeNs % SECOND === 0n
  return countsSeconds && BigInt(Date.now()) * 1_000_000n < ctimeNs + BigInt(LONGEST_STEP) * SECOND
}

/**
 * Keeps the inode number of a file from being used for another file with the same times. The file
 * stays open for three seconds, so that the system can't free its inode. Does nothing on a file
 * system with times in parts of a second.
 */
export async function reserveNumber(path: string, found: BigIntStats): Promise<void> {
  if (!mayComeBack(found)) return
  const file = await openIfThere(path, READ)
  setTimeout(() => void file?.close().catch(() => {}), LONGEST_STEP * 1000).unref()
}

/**
 * Milliseconds between two renewals of the time of a staged file that is in use: 20 minutes. A
 * sweep of another process treats a file without a lease as a leftover when it is an hour old.
 */
export const RENEWAL_PERIOD = 1_200_000

/**
 * Sets the time of a staged file to now. The call is synchronous, so that no renewal is in progress
 * when the writer reads the time for the fingerprint of the new version. Best effort, because two
 * later renewals follow before the file is old enough for a sweep.
 */
export function renewTime({ fd }: FileHandle): void {
  const now = new Date()
  try {
    futimesSync(fd, now, now)
  } catch {
    // The next renewal tries again.
  }
}
