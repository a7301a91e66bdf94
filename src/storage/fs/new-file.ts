/** Moves an upload to a new file, out of the reach of a process that has the present one open. */

import { utimes } from 'node:fs/promises'
import { assertStaged, dropUpload } from './commit.ts'
import { writeRecord } from './fence.ts'
import { endTakeover, isTakenOver } from './lock/takeover.ts'
import { stagedPath } from './paths.ts'
import { PrivateCopy } from './private-copy.ts'
import { durabilityOf, recordedCache } from './resource.ts'
import type { FsResource } from './resource.ts'
import { find } from './version.ts'
import type { Found, Incomplete } from './version.ts'
import type { WriterLease } from './writer-lease.ts'

/**
 * Keeps what an earlier owner of the lock may still write out of the version that is found. It costs a
 * copy of the upload, which takes no time and no room where the file system shares blocks (Btrfs, XFS),
 * and nothing after an orderly release or the proven death of the owner. The caller holds the lock.
 */
export async function escapeEarlierOwner(
  resource: FsResource,
  found: Found,
  lease: WriterLease,
): Promise<Found> {
  const { root, hash } = resource.paths
  if (!isTakenOver(root, hash)) return found
  // A finished file can't be reached: what is published has been moved, and is never written again.
  if (found.kind === 'incomplete') await moveToNewFile(resource, found, lease)
  await endTakeover(root, hash)
  return found.kind === 'incomplete' ? find(resource.paths) : found
}

/** Copies the upload, and makes the copy its data file by a new record. The version stays the same. */
async function moveToNewFile(
  resource: FsResource,
  found: Incomplete,
  lease: WriterLease,
): Promise<void> {
  const { paths } = resource
  const { record, info } = found
  const copy = await PrivateCopy.create(paths, found.path)
  try {
    copy.freezeTime()
    await copy.file.truncate(info.size)
    // The entity tag has the time of the file, and the version stays the same.
    await utimes(stagedPath(paths, copy.name), info.lastModified, info.lastModified)
    const durability = durabilityOf(resource)
    if (durability === 'now') await resource.flusher.sync(copy.name, copy.file, 'all')
    const durableSize = durability === 'now' ? info.size : 0
    const moved = { ...record, data: copy.name, durableSize, pageCache: recordedCache(resource) }
    await assertStaged(paths, copy)
    await writeRecord(paths, record, moved, durability, lease.assertValid)
  } catch (error) {
    await dropUpload(resource, copy.name)
    throw error
  } finally {
    await copy.close()
  }
  await dropUpload(resource, record.data)
}
