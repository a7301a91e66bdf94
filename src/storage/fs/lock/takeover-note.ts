/**
 * Notes that a lock was taken over from an owner that is not proven dead: an owner in another
 * container or on another machine that has not renewed its link for too long. The owner may only be
 * halted, and may resume between its last check of the lock and a write, or in the middle of a
 * write that the kernel has accepted. No check of the lock can stop such a write:
 *
 *     process A                        process B, its successor
 *     checks its lock: valid
 *     is halted
 *                                      takes over the lock, stores bytes 4-9 in the data file
 *     resumes, writes its own bytes 4-9 into the same file
 *
 * The note is made before the takeover. The first writer after it copies the upload to a new data
 * file (`new-file.ts`) and unlinks the old one, so that A writes into a file that no record refers
 * to.
 */

import { mkdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ifThere } from '../io.ts'
import { exists } from '../metadata.ts'
import { STAGING, below } from '../paths.ts'

/**
 * Path of the note of one resource. The locker and the storage both know the root of the store and
 * the hash of the key, so that neither has to know the other.
 */
function notePath(root: string, hash: string): string {
  return below(root, [STAGING, 'takeovers', hash])
}

/**
 * Makes the note.
 *
 * @throws Error when the note can't be written. The caller must not take the lock then, because the
 * next writer would use the file that the earlier owner may still write to.
 */
export async function noteTakeover(root: string, hash: string): Promise<void> {
  const path = notePath(root, hash)
  try {
    await writeFile(path, '')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    await mkdir(join(root, STAGING, 'takeovers'), { mode: 0o700, recursive: true })
    await writeFile(path, '')
  }
}

/** Returns whether an earlier owner may still write to the data file of a resource. */
export function isTakenOver(root: string, hash: string): Promise<boolean> {
  return exists({ staging: below(root, [STAGING]) }, notePath(root, hash))
}

/**
 * Removes the note. The caller has made sure that the resource does not use any file which an
 * earlier owner has open.
 */
export async function endTakeover(root: string, hash: string): Promise<void> {
  await ifThere(unlink(notePath(root, hash)))
}
