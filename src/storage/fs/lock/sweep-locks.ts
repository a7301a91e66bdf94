/**
 * Removes what killed processes have left in the directory of the locks. The lock of a dead owner
 * does not block other processes, because the next newcomer takes it over. Without a sweep,
 * though, the links of keys that are never used again would never be removed.
 */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { chainOf, remove } from './chain.ts'
import type { Link, OwnLink } from './chain.ts'
import type { Verdict, Watch } from './liveness.ts'

/**
 * Takes over the lock at `path` from the last owner of `chain`; null if another process was faster.
 */
type TakeOver = (path: string, chain: readonly Link[]) => Promise<OwnLink | null>

/**
 * Releases the locks of dead owners, and removes links that no chain leads to. Best effort. Returns
 * whether an owner is neither alive nor dead yet, so that a later sweep may find it dead.
 */
export async function sweepLocks(
  locks: string,
  watch: Watch,
  takeOver: TakeOver,
): Promise<boolean> {
  let isUndecided = false
  for (const file of await readdir(locks).catch(() => [])) {
    const verdict = await sweepLink(locks, file, watch, takeOver).catch(() => null)
    isUndecided ||= verdict === 'undecided'
  }
  return isUndecided
}

/**
 * Removes a link that no chain leads to, or releases its lock if the last owner of the chain is
 * dead.
 */
async function sweepLink(
  locks: string,
  file: string,
  watch: Watch,
  takeOver: TakeOver,
): Promise<Verdict | null> {
  const [name = ''] = file.split('.')
  const lock = join(locks, name)
  const chain = chainOf(lock)
  const last = chain.at(-1)
  if (last === undefined || !chain.some(({ path }) => path === join(locks, file))) {
    remove(join(locks, file))
    return null
  }
  const verdict = await watch.check(lock, last)
  if (verdict === 'dead') (await takeOver(lock, chain))?.release()
  return verdict
}
