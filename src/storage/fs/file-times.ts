/**
 * File systems that count whole seconds: ext4 with inodes of 128 bytes, ext3, HFS+, FAT, some of NFS. On
 * these, a file can have the number, the size and the times of an earlier file at its path:
 *
 *     10.1 s  file 1 is at the path
 *     10.2 s  file 2 is renamed onto it, so that the system frees number 1
 *     10.3 s  another file gets number 1 and is renamed onto the path
 */

import { futimesSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { openIfThere, READ } from './io.ts'

/** One second in nanoseconds. */
export const SECOND = 1_000_000_000n

/** Seconds: FAT counts in steps of two, and the clock of file times lags by some milliseconds. */
const LONGEST_STEP = 3

/** Returns whether the next file at the path may get the same inode number and the same times. */
export function mayComeBack({ ctimeNs }: BigIntStats): boolean {
  const countsSeconds = ctimeNs % SECOND === 0n
  return countsSeconds && BigInt(Date.now()) * 1_000_000n < ctimeNs + BigInt(LONGEST_STEP) * SECOND
}

/**
 * Keeps the number of a file from being used again while another file may have the same times: the file
 * stays open for that long. Does nothing on a file system that counts parts of a second.
 */
export async function reserveNumber(path: string, found: BigIntStats): Promise<void> {
  if (!mayComeBack(found)) return
  const file = await openIfThere(path, READ)
  setTimeout(() => void file?.close().catch(() => {}), LONGEST_STEP * 1000).unref()
}

/**
 * Milliseconds between two renewals of the time of a staged file that is in use, because a sweep treats an old
 * file as a leftover.
 */
export const RENEWAL_PERIOD = 1_200_000

/**
 * Renews the time of a staged file. Synchronous, so that no renewal is under way when its writer commits. Best
 * effort, because the next renewal may succeed, and the age limit leaves room for it.
 */
export function renewTime({ fd }: FileHandle): void {
  const now = new Date()
  try {
    futimesSync(fd, now, now)
  } catch {
    // The next renewal tries again.
  }
}
