/** How a newcomer asks an owner in another process to make way, if its client has fallen silent. */

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, ifThere } from './fs-io.ts'
import { remove } from './fs-lock-link.ts'

/** A call that is older, in milliseconds, was left by a process that died. */
const MAX_AGE = 60_000

/**
 * Calls for the lock with this name until the returned function is called: its owner is to make way if
 * it has waited `stall` milliseconds for its client.
 */
export async function call(folder: string, name: string, stall: number): Promise<() => void> {
  const path = join(folder, `${name}.${randomBytes(12).toString('base64url')}`)
  try {
    await symlink(String(stall), path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    await mkdir(folder, { mode: 0o700 }).catch(() => {}) // Another process was faster.
    await symlink(String(stall), path)
  }
  return () => remove(path)
}

/** Tells of every call for a lock: its name, and the `stall` of the newcomer. */
export async function answerCalls(
  folder: string,
  answer: (name: string, stall: number) => void,
): Promise<void> {
  for (const file of (await ifThere(readdir(folder))) ?? []) {
    const path = join(folder, file)
    const [name = ''] = file.split('.')
    const stall = Number(await ifThere(readlink(path)))
    const found = await ifThere(lstat(path))
    if (found === null) continue
    if (Date.now() - found.mtimeMs > MAX_AGE) remove(path)
    else if (Number.isSafeInteger(stall)) answer(name, stall)
  }
}
