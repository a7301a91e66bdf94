/** Moves an upload to a new file, out of the reach of a process that has the present one open. */

import { utimes } from 'node:fs/promises'
import { assertStaged, dropUpload } from './commit.ts'
import { writeRecord } from './fence.ts'
import { endTakeover, isTakenOver } from './lock/takeover.ts'
import { hiddenPath } from './paths.ts'
import { PrivateCopy } from './private-copy.ts'
import { durabilityOf, recordedCache } from './resource.ts'
import type { Site } from './resource.ts'
import { find } from './version.ts'
import type { Found, Incomplete } from './version.ts'
import type { Turn } from './writer-lease.ts'

/**
 * Keeps what an earlier owner of the lock may still write out of the version that is found. It costs a
 * copy of the upload, which takes no time and no room where the file system shares blocks (Btrfs, XFS),
 * and nothing after an orderly release or the proven death of the owner. The caller holds the lock.
 */
export async function escapeEarlierOwner(site: Site, found: Found, turn: Turn): Promise<Found> {
  const { root, hash } = site.paths
  if (!isTakenOver(root, hash)) return found
  // A finished file can't be reached: what is published has been moved, and is never written again.
  if (found.kind === 'incomplete') await moveToNewFile(site, found, turn)
  await endTakeover(root, hash)
  return found.kind === 'incomplete' ? find(site.paths) : found
}

async function moveToNewFile(site: Site, found: Incomplete, turn: Turn): Promise<void> {
  const { paths } = site
  const { record, info } = found
  const copy = await PrivateCopy.create(paths, found.path)
  try {
    copy.freezeTime()
    await copy.file.truncate(info.size)
    // The entity tag has the time of the file, and the version stays the same.
    await utimes(hiddenPath(paths, copy.name), info.lastModified, info.lastModified)
    const durability = durabilityOf(site)
    if (durability === 'now') await site.flusher.sync(copy.name, copy.file, 'all')
    const safeSize = durability === 'now' ? info.size : 0
    const moved = { ...record, data: copy.name, safeSize, boot: recordedCache(site) }
    await assertStaged(paths, copy)
    await writeRecord(paths, record, moved, durability, turn.assertValid)
  } catch (error) {
    await dropUpload(site, copy.name)
    throw error
  } finally {
    await copy.close()
  }
  await dropUpload(site, record.data)
}
