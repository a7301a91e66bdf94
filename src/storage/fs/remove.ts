/**
 * Removes a resource. The files are removed before the record: after a crash in between, the record
 * without a file reads as an absent resource.
 */

import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { dropLayers, dropUpload } from './commit.ts'
import { retirePublished, retireRecord } from './fence.ts'
import { ifThere, sync } from './io.ts'
import { findPublished } from './published.ts'
import { removeParents } from './parents.ts'
import { findFenced, repair } from './recover.ts'
import { changedMeanwhile, durabilityOf } from './resource.ts'
import type { FsResource } from './resource.ts'
import type { Complete, Found, Incomplete } from './version.ts'
import type { WriterLease } from './writer-lease.ts'

/**
 * Largest number of attempts to remove a version, while another program puts new files at the path.
 */
const MAX_TRIES = 100

/**
 * Removes a resource, and returns whether it existed. Only files of the version that was found are
 * removed. A file that another program has put at the path of an incomplete resource stays, and so
 * does a version that another process commits after it has taken over the lock. The caller holds
 * the lock.
 *
 * @throws UploadError `ERR_CONFLICT` when another process has taken over the lock.
 */
export async function removeResource(resource: FsResource, lease: WriterLease): Promise<boolean> {
  const { paths, openFiles } = resource
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await findFenced(paths)
    lease.assertValid()
    lease.invalidateOthers()
    await openFiles.drop(paths.hash)
    if (found.kind === 'absent') return false
    if (await removeFiles(resource, await moveFirst(resource, found, lease), lease)) return true
  }
  throw changedMeanwhile()
}

/**
 * Completes the move of an interrupted commit, whose data file is still in the staging directory.
 * Without the move the old file would stay at the path, and read as a finished resource once the
 * record is gone. If the path has no file, the move is not needed.
 */
async function moveFirst(resource: FsResource, found: Found, lease: WriterLease): Promise<Found> {
  if (found.kind !== 'complete' || found.unpublished === null) return found
  return (await findPublished(resource.paths)).kind === 'file'
    ? repair(resource, found, lease)
    : found
}

/**
 * Removes the files of the version and then its record. Returns false if another program has
 * replaced the published file of a finished version, so that another version has to be found and
 * removed.
 */
async function removeFiles(
  resource: FsResource,
  found: Found,
  lease: WriterLease,
): Promise<boolean> {
  if (found.kind === 'absent') return false
  const isUnpublished = found.kind === 'complete' && found.unpublished !== null
  const published = publishedBy(found)
  if (published !== null && !(await removePublished(resource, found, published, lease))) {
    if (found.kind === 'complete') return false
  }
  // The file is unlinked before the record, because after a crash in between only the record leads
  // the next process to the file.
  if (isUnpublished) await ifThere(unlink(found.path))
  const isStaged = found.kind === 'incomplete' || isUnpublished
  await removeRecord(resource, found, isStaged, lease)
  return true
}

/**
 * Returns the fingerprint of the published file that belongs to the version; null if it has none.
 */
function publishedBy(found: Incomplete | Complete): string | null {
  if (found.kind === 'incomplete') return found.record.published
  return found.unpublished === null ? found.fingerprint : null
}

/**
 * Removes the published file. It goes before the record: a record without a file reads as absent,
 * whereas a file without a record reads as a finished resource of another program. Returns false if
 * another program has put its file at the path.
 */
async function removePublished(
  resource: FsResource,
  { stored }: Incomplete | Complete,
  published: string,
  lease: WriterLease,
): Promise<boolean> {
  const { paths } = resource
  if (!(await retirePublished(paths, stored, published, lease.assertValid))) return false
  if (durabilityOf(resource) === 'now') await ifThere(sync(dirname(paths.published)))
  await removeParents(paths)
  return true
}

/**
 * Removes the record as the last file. After a crash in between, a sweep finds by the record the
 * empty directories that the published file has left.
 */
async function removeRecord(
  resource: FsResource,
  found: Incomplete | Complete,
  isStaged: boolean,
  lease: WriterLease,
): Promise<void> {
  const { paths } = resource
  await retireRecord(paths, found.stored, lease.assertValid)
  if (isStaged && durabilityOf(resource) === 'now') await sync(paths.staging)
  if (found.kind === 'incomplete') await dropUpload(resource, found.record.data)
  await dropLayers(resource, found.stored)
}
