/**
 * Recovery: completes or undoes a change that a crash, a power cut or a failing disk has
 * interrupted. Each writer recovers its resource when it is opened, because the lock of the key is
 * held only then: without the lock, the change of a living process looks like an interrupted one.
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

/**
 * Largest number of attempts to read a stable version, while earlier owners of the lock may
 * complete their last change.
 */
const MAX_TRIES = 10

/**
 * Finds the current version, and makes sure that no earlier owner of the lock can replace it any
 * more. The version is read again after the fence, because an earlier owner may have replaced it
 * just before.
 */
export async function findFenced(paths: ResourcePaths): Promise<Found> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await find(paths)
    await fence(paths, found.stored)
    const after = await find(paths)
    if (after.revision === found.revision && after.stored?.tag === found.stored?.tag) return after
  }
  throw new Error('another process changes the resource although this one has its lock')
}

/**
 * Completes or undoes an interrupted change, and returns the version after it. The caller holds the
 * lock.
 */
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

/**
 * Completes a commit whose record was written, and whose data file was not moved to its path yet.
 */
async function finishMove(resource: FsResource, name: string): Promise<void> {
  const grown = await makeParents(resource.paths)
  await move(resource.paths, name)
  if (durabilityOf(resource) === 'now') await syncMove(resource.paths, grown)
}

/**
 * Returns whether the last write of an upload was interrupted, or some of its bytes may be lost.
 */
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

/** Completes or undoes the last write of an upload, which a process has begun and not ended. */
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
 * Truncates the data file to the committed size and to `limit`, and writes a record under which the
 * remaining bytes have an entity tag. Returns that record. The tag is a new one if bytes may have
 * changed under the old one.
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
  // The entity tag contains the time of the file in milliseconds. The middle of the millisecond is
  // set, because the conversion to nanoseconds may round down to the one before.
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
 * Truncates the data file to the bytes that were fsynced, and at most to `limit`: after a failed
 * fsync the system may have dropped the other bytes. Returns the new record. The function makes as
 * few calls as possible, because each of them may fail on this disk.
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
  // The failing disk may refuse the fsync too. A record that is not durable is better than none.
  await write('now').catch(() => write('later'))
  flusher.forget(record.data)
  await clearSuspect(file)
  return left
}

/**
 * Removes the published file of the finished version that the incomplete version of `record` has
 * replaced. Best effort, because the next writer of the resource repeats it. A file of another
 * program at the path stays.
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
