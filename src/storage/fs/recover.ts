/** The end of changes that a crash, a power cut or a failing disk has left half done. */

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

/** Versions that processes which have lost the lock may complete in the last moment. */
const MAX_TRIES = 10

/**
 * Finds the current version after every process that had the lock before has been kept from replacing
 * it.
 */
export async function findFenced(paths: ResourcePaths): Promise<Found> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await find(paths)
    await fence(paths, found.stored)
    const after = await find(paths)
    if (after.revision === found.revision && after.stored?.tag === found.stored?.tag) return after
  }
  throw new Error('the resource changes although its lock is held')
}

/** Finishes what is half done, before a change. The caller holds the key's lock. */
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

async function finishMove(resource: FsResource, name: string): Promise<void> {
  const grown = await makeParents(resource.paths)
  await move(resource.paths, name)
  if (durabilityOf(resource) === 'now') await syncMove(resource.paths, grown)
}

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
 * Takes back what was written behind the pinned size and behind `limit`, and gives the bytes that are
 * left a name.
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
  // In the middle of the millisecond, since the way to the disk may take some of it.
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
 * Takes back what an fsync that has failed may have lost, and all behind `limit`. As little as can be
 * is asked of the disk.
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
 * Removes the published file of the finished version that the incomplete one of `record` has replaced,
 * if it can. A file of another program at that path stays.
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
