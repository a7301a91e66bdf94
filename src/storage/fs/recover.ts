/**
 * Recovery: completes or undoes changes that a crash, a power cut or a failing disk has left half done. A
 * writer recovers its resource when it is opened, because only then is the lock of the key held.
 */

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { move, syncMove } from './commit.ts'
import { fence, retirePublished, writeRecord } from './fence.ts'
import type { AssertValid } from './fence.ts'
import { READ_WRITE } from './io.ts'
import { makeParents, removeParents } from './parents.ts'
import type { ResourcePaths } from './paths.ts'
import { newTag } from './record.ts'
import type { Durability, FsRecord } from './record.ts'
import { clearSuspect, isSuspect, durableSize } from './durable-size.ts'
import { durabilityOf, recordedCache } from './resource.ts'
import type { FsResource } from './resource.ts'
import type { WriterLease } from './writer-lease.ts'
import { find } from './version.ts'
import type { Found, Incomplete } from './version.ts'

/** Tries to read a stable version while earlier owners of the lock complete their last change. */
const MAX_TRIES = 10

/** Finds the current version, after all earlier owners of the lock were kept from replacing it. */
export async function findFenced(paths: ResourcePaths): Promise<Found> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await find(paths)
    await fence(paths, found.stored)
    const after = await find(paths)
    if (after.revision === found.revision && after.stored?.tag === found.stored?.tag) return after
  }
  throw new Error('the resource changes although its lock is held')
}

/** Completes or undoes a half done change, and returns the version after it. The caller holds the lock. */
export async function repair(
  resource: FsResource,
  found: Found,
  lease: WriterLease,
): Promise<Found> {
  if (found.kind === 'complete' && found.unpublished !== null) {
    await finishMove(resource, found.unpublished)
  } else if (found.kind === 'incomplete' && isInterrupted(resource, found)) {
    await finishWrite(resource, found, lease)
  } else {
    return found
  }
  lease.invalidateOthers()
  return find(resource.paths)
}

/** Completes a commit whose record is written and whose data file was not moved yet. */
async function finishMove(resource: FsResource, name: string): Promise<void> {
  const grown = await makeParents(resource.paths)
  await move(resource.paths, name)
  if (durabilityOf(resource) === 'now') await syncMove(resource.paths, grown)
}

/** Whether a write of the upload has not ended, or some of its bytes may be lost. */
function isInterrupted({ flusher }: FsResource, { record, limit }: Incomplete): boolean {
  const { committedSize, isDirty, published, data } = record
  return (
    committedSize !== null ||
    isDirty ||
    published !== null ||
    limit < Infinity ||
    flusher.hasFailedSync(data)
  )
}

/** Completes or undoes the last write of an upload. */
async function finishWrite(
  resource: FsResource,
  { path, record, limit }: Incomplete,
  { assertValid }: WriterLease,
): Promise<void> {
  if (record.published !== null) await removeReplaced(resource.paths, record, assertValid)
  const file = await open(path, READ_WRITE)
  try {
    const hasFailedSync =
      resource.flusher.hasFailedSync(record.data) || isSuspect(await file.stat())
    if (hasFailedSync) await truncateToDurable(resource, file, record, assertValid, limit)
    else await finishRecovery(resource, file, record, assertValid, limit)
  } finally {
    await file.close()
  }
}

/**
 * Cuts off the bytes beyond the committed size and beyond `limit`, and writes a record under which the
 * remaining bytes have an entity tag again.
 */
export async function finishRecovery(
  resource: FsResource,
  file: FileHandle,
  record: FsRecord,
  assertValid: AssertValid,
  limit = Number.POSITIVE_INFINITY,
): Promise<FsRecord> {
  const { committedSize, isDirty, lastModified, data } = record
  const { size } = await file.stat()
  const end = Math.min(size, limit, committedSize ?? size)
  assertValid()
  if (end < size) await file.truncate(end)
  // The middle of the millisecond, because the conversion on the way to the disk may round down.
  const time = (lastModified + 0.5) / 1000
  if (end < size && committedSize === end) await file.utimes(time, time)
  const durability = durabilityOf(resource)
  if (durability === 'now') await resource.flusher.sync(data, file, 'data')
  const recovered = {
    ...record,
    tag: isDirty || limit < Infinity ? newTag() : record.tag,
    pageCache: recordedCache(resource),
    durableSize: end,
    committedSize: null,
    isDirty: false,
    published: null,
  }
  await writeRecord(resource.paths, record, recovered, durability, assertValid)
  return recovered
}

/**
 * Cuts the data file down to its durable bytes, because a failed fsync may have lost the others, and at
 * most to `limit`. Makes as few calls as possible, because the disk is failing.
 */
export async function truncateToDurable(
  resource: FsResource,
  file: FileHandle,
  record: FsRecord,
  assertValid: AssertValid,
  limit: number,
): Promise<FsRecord> {
  const { paths, leases, flusher } = resource
  const { size } = await file.stat()
  const end = Math.min(size, limit, await durableSize(paths, record))
  assertValid()
  await file.truncate(end)
  leases.invalidate(record.data, end, null)
  const left = {
    ...record,
    tag: newTag(),
    lastModified: Date.now(),
    pageCache: recordedCache(resource),
    durableSize: end,
    committedSize: null,
    isDirty: false,
    published: null,
  }
  const write = (durability: Durability) =>
    writeRecord(paths, record, left, durability, assertValid)
  await write('now').catch(() => write('later'))
  flusher.forget(record.data)
  await clearSuspect(file)
  return left
}

/**
 * Removes the published file of the finished version that the incomplete version of `record` has replaced.
 * Best effort, because the next writer tries again. A file of another program at the path stays.
 */
export async function removeReplaced(
  paths: ResourcePaths,
  record: FsRecord,
  assertValid: AssertValid,
): Promise<void> {
  const { published } = record
  if (published === null) return
  const isRemoved = await retirePublished(paths, record, published, assertValid).catch(() => false)
  if (isRemoved) await removeParents(paths)
}
