/**
 * Copies an upload to a new data file, which a process that has the old one open can't write to.
 */

import { utimes } from 'node:fs/promises'
import { assertStaged, dropUpload } from './commit.ts'
import { writeRecord } from './fence.ts'
import { endTakeover, isTakenOver } from './lock/takeover-note.ts'
import { stagedPath } from './paths.ts'
import { PrivateCopy } from './private-copy.ts'
import { durabilityOf, recordedCache } from './resource.ts'
import type { FsResource } from './resource.ts'
import { find } from './version.ts'
import type { Found, Incomplete } from './version.ts'
import type { WriterLease } from './writer-lease.ts'

/**
 * Protects an upload from an earlier owner of the lock that may only be halted, and that would
 * write into the data file when it resumes (`lock/takeover-note.ts`). The upload is copied to a new
 * data file. The copy takes no time where the file system shares blocks (Btrfs, XFS). Nothing is
 * copied if the earlier owner has released the lock or is proven dead. Returns the version after
 * that. The caller holds the lock.
 */
export async function escapeEarlierOwner(
  resource: FsResource,
  found: Found,
  lease: WriterLease,
): Promise<Found> {
  const { root, hash } = resource.paths
  if (!(await isTakenOver(root, hash))) return found
  // A finished file is never written to in place, so that it needs no copy.
  if (found.kind === 'incomplete') await moveToNewFile(resource, found, lease)
  await endTakeover(root, hash)
  return found.kind === 'incomplete' ? find(resource.paths) : found
}

/**
 * Copies the upload, and makes the copy its data file by a new record. The version stays the same.
 */
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
    // The entity tag contains the time of the data file, and must stay the same for the client that
    // resumes with `If-Match`.
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
