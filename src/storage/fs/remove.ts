/** The end of a resource. */

import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { dropUpload } from './commit.ts'
import { retirePublished, retireRecord } from './fence.ts'
import { ifThere, sync } from './io.ts'
import { lookUp } from './published.ts'
import { removeParents } from './parents.ts'
import { findFenced, repair } from './recover.ts'
import { changedMeanwhile, durabilityOf } from './resource.ts'
import type { FsResource } from './resource.ts'
import type { Complete, Found, Incomplete } from './version.ts'
import type { WriterLease } from './writer-lease.ts'

/** Versions that another program may put at the path while one is removed. */
const MAX_TRIES = 100

/**
 * Removes a resource and returns whether there was one. Of the files, only those of the version that
 * was found are removed: a file that another program has put at the path of an incomplete resource
 * stays, and so does what a process makes that has taken over the lock. The caller holds the lock.
 *
 * @throws Error when the lock has gone to another process.
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
 * Ends a commit that a crash has cut short, because only the move of the new file removes the old one.
 * Where something else than a file is at the path, nothing has to be moved.
 */
async function moveFirst(resource: FsResource, found: Found, lease: WriterLease): Promise<Found> {
  if (found.kind !== 'complete' || found.unpublished === null) return found
  return (await lookUp(resource.paths)).kind === 'file' ? repair(resource, found, lease) : found
}

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
  // Before the record, which leads to it.
  if (isUnpublished) await ifThere(unlink(found.path))
  const isStaged = found.kind === 'incomplete' || isUnpublished
  await removeRecord(resource, found, isStaged, lease)
  return true
}

/** Identity of the published file that belongs to the version; null if it has none. */
function publishedBy(found: Incomplete | Complete): string | null {
  if (found.kind === 'incomplete') return found.record.published
  return found.unpublished === null ? found.fingerprint : null
}

/**
 * Removes the published file before the record: a record without a file reads as absent, a file
 * without a record as a finished resource. Returns false if another file has taken its place.
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

/** The record goes last: by it the next start finds the directories that a crash has left. */
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
}
