/**
 * Requests by which a newcomer asks an owner in another process to release its lock if the client of the owner
 * has stalled. A request is a symbolic link whose target is the number of milliseconds after which the
 * newcomer treats a client as stalled.
 */

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ifThere } from '../io.ts'

/** Milliseconds after which a request counts as left behind by a process that died. */
const MAX_AGE = 60_000

/**
 * Requests the lock `name`, whose owner is to release it if its client has been silent for `stall`
 * milliseconds. Returns the path of the request. Best effort: without a request the newcomer only waits.
 */
export async function requestRelease(folder: string, name: string, stall: number): Promise<string> {
  const path = join(folder, `${name}.${randomBytes(12).toString('base64url')}`)
  await mkdir(folder, { mode: 0o700 }).catch(() => {}) // The directory exists, or the link fails too.
  await symlink(String(stall), path).catch(() => {})
  return path
}

/** Withdraws a request. Best effort, because old requests are removed. */
export async function endReleaseRequest(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/** Calls `answer` for each request, with the name of the lock and the `stall` of the newcomer. */
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
