/**
 * Notes that a lock was taken from an owner that is not proven dead: one in another container or on
 * another machine that gave no sign of life. Such an owner may only be halted, between its last check of
 * the lock and a write, or in a write that the kernel has accepted. No check stops such a write:
 *
 *     process A                        process B, its successor
 *     checks its lock: valid
 *     is halted
 *                                      takes over the lock, stores bytes 4-9 in the data file
 *     writes its bytes 4-9 there
 *
 * The note is made before the takeover. The first writer after it moves the upload to a new file, so that
 * what A writes goes into a file that has no name any more.
 */

import { existsSync } from 'node:fs'
import { mkdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ifThere } from '../io.ts'
import { STAGING } from '../paths.ts'

/** The notes of the store at `root`, by the hash of the key: the locker and the storage know both. */
function notePath(root: string, hash: string): string {
  return join(root, STAGING, 'takeovers', hash)
}

/** Makes the note. If that fails, the lock must not be taken. */
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

/** Checks, without waiting, whether an earlier owner may still write to the files of a resource. */
export function isTakenOver(root: string, hash: string): boolean {
  return existsSync(notePath(root, hash))
}

/** Removes the note, once no earlier owner has a file open that the resource still uses. */
export async function endTakeover(root: string, hash: string): Promise<void> {
  await ifThere(unlink(notePath(root, hash)))
}
