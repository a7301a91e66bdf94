/** How a newcomer asks an owner in another process to make way, if its client has fallen silent. */

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ifThere } from '../io.ts'

/** A call that is older, in milliseconds, was left by a process that died. */
const MAX_AGE = 60_000

/**
 * Calls for the lock `name`: its owner is to make way if it has waited `stall` milliseconds for its
 * client. Returns the call's file; where that can't be made, the newcomer merely waits.
 */
export async function requestRelease(folder: string, name: string, stall: number): Promise<string> {
  const path = join(folder, `${name}.${randomBytes(12).toString('base64url')}`)
  await mkdir(folder, { mode: 0o700 }).catch(() => {}) // It is there, or the link fails too.
  await symlink(String(stall), path).catch(() => {})
  return path
}

/** Ends a call; one that can't be removed is removed when it is old. */
export async function endReleaseRequest(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/** Tells of every call: the name of the lock, and the `stall` of the newcomer. */
export async function answerReleaseRequests(
  folder: string,
  answer: (name: string, stall: number) => void,
): Promise<void> {
  for (const file of (await ifThere(readdir(folder))) ?? []) {
    const path = join(folder, file)
    const [name = ''] = file.split('.')
    const found = await ifThere(lstat(path))
    const stall = Number(await ifThere(readlink(path)))
    if (found === null) continue
    if (Date.now() - found.mtimeMs > MAX_AGE) await endReleaseRequest(path)
    else if (Number.isSafeInteger(stall)) answer(name, stall)
  }
}
