/**
 * Requests by which a newcomer asks the owner of a lock, in another process, to release the lock if
 * the owner's client has stalled. Only the owner knows whether its client has. A request is a
 * symbolic link whose name begins with the name of the lock, and whose target is a number: the
 * milliseconds of silence after which the newcomer treats a client as stalled. A link needs no
 * block on a full disk.
 */

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ifThere } from '../io.ts'

/**
 * Age in milliseconds beyond which an owner removes a request, because the process that made it has
 * died without withdrawing it.
 */
const MAX_AGE = 60_000

/**
 * Asks the owner of the lock `name` to release it if its client has been silent for `stall`
 * milliseconds. Returns the path of the request. Best effort: if the request can't be made, the
 * newcomer waits without it until the lock is free or the wait is over.
 */
export async function requestRelease(folder: string, name: string, stall: number): Promise<string> {
  const path = join(folder, `${name}.${randomBytes(12).toString('base64url')}`)
  // The directory exists already, or the next call fails too.
  await mkdir(folder, { mode: 0o700 }).catch(() => {})
  await symlink(String(stall), path).catch(() => {})
  return path
}

/** Withdraws a request. Best effort, because owners remove requests that are too old. */
export async function endReleaseRequest(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/**
 * Reads all requests, including those for locks of other processes, and calls `answer` for each
 * with the name of the lock and the newcomer's `stall`. Removes requests that are too old.
 */
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
