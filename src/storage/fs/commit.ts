/**
 * The steps that make a version the current one. At every point of them a reader finds the old
 * version or the new one, and so does whoever comes after a crash.
 */

import { lstat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { putRecord, retireRecord, writeRecord } from './fence.ts'
import { reserveNumber } from './file-times.ts'
import { adoptMode, errorCode, ifThere, sync } from './io.ts'
import { stagedPath, keyConflict, newTempName } from './paths.ts'
import { lookUp } from './published.ts'
import { makeParents, removeMade, removeRemains } from './parents.ts'
import type { ResourcePaths } from './paths.ts'
import { copyState } from '../state.ts'
import { fileFingerprint, newTag } from './record.ts'
import type { FsRecord } from './record.ts'
import { watermarkPath } from './durable-size.ts'
import { changedMeanwhile, durabilityOf, recordedCache } from './resource.ts'
import type { DataFile, FsResource } from './resource.ts'
import { replaceFile } from './windows.ts'
import type { WriterLease } from './writer-lease.ts'
import { completeInfo } from './version.ts'

/** Removes of neighbours that may take the parent directory of a resource that is being published. */
const MAX_TRIES = 100

/** Attempts to restore the earlier record after a failed commit. */
const RESTORE_TRIES = 3

/** Makes the record of a new version, of whose data `safeSize` bytes are on the disk. */
export function newRecord(
  resource: FsResource,
  data: string,
  state: ResourceState,
  durableSize: number,
): FsRecord {
  return {
    key: resource.paths.key,
    state: copyState(state),
    tag: newTag(),
    data,
    lastModified: Date.now(),
    committedSize: null,
    durableSize,
    pageCache: recordedCache(resource),
    isDirty: false,
    published: null,
    mode: null,
  }
}

/**
 * Makes `data` the finished resource in the place of the version of `old`. The new record is the
 * point of no return: from there on the version is found in the hidden folder until it has moved.
 *
 * @throws UploadError `ERR_KEY_CONFLICT`
 * @throws Error when another writer has changed the resource.
 */
export async function publish(
  resource: FsResource,
  lease: WriterLease,
  data: DataFile,
  state: ResourceState,
  old: FsRecord | null,
): Promise<ResourceInfo> {
  const { paths } = resource
  const durability = durabilityOf(resource)
  const grown = await makeParents(paths)
  try {
    const existing = await lookUp(paths)
    if (existing.kind === 'blocked' && !(await removeRemains(paths))) throw keyConflict()
    if (existing.kind === 'file') await adoptMode(data.file, existing.stat)
    else if (old !== null && old.mode !== null) await data.file.chmod(old.mode)
    // With its times: the identity needs that of the file to outlive a power cut, too.
    if (durability === 'now') await resource.flusher.sync(data.name, data.file, 'all')
    const stat = await data.file.stat({ bigint: true })
    if (stat.nlink === 0n) throw changedMeanwhile()
    await reserveNumber(stagedPath(paths, data.name), stat)
    const size = Number(stat.size)
    const record = {
      ...newRecord(resource, data.name, state, size),
      published: fileFingerprint(stat),
    }
    // An fsync can take longer than a lock lives.
    lease.assertValid()
    await replaceRecord(resource, lease, old, record, () => move(paths, data.name))
    if (durability === 'now') await syncMove(paths, grown)
    if (old?.state.complete === false) await dropUpload(resource, old.data)
    return completeInfo(record, size)
  } catch (error) {
    await removeMade(paths, grown)
    throw error
  }
}

/**
 * Writes `record`, then does `next`; if that fails, makes the version of `old` the current one again,
 * unless another process has taken over the lock meanwhile.
 */
export async function replaceRecord(
  resource: FsResource,
  lease: WriterLease,
  old: FsRecord | null,
  record: FsRecord,
  next: () => Promise<void>,
): Promise<void> {
  const { paths } = resource
  const durability = durabilityOf(resource)
  await putRecord(paths, old, record, durability, lease.assertValid)
  try {
    if (durability === 'now') await sync(paths.staging)
    await next()
  } catch (error) {
    await restore(resource, lease, old, record)
    throw error
  }
}

/**
 * Makes the version of `old` the current one again after the record of the next one was written. The
 * error that has led here says more than one of these attempts.
 */
async function restore(
  resource: FsResource,
  { assertValid }: WriterLease,
  old: FsRecord | null,
  record: FsRecord,
): Promise<void> {
  const { paths } = resource
  const durability = durabilityOf(resource)
  for (let tries = 0; tries < RESTORE_TRIES; tries += 1) {
    assertValid()
    try {
      if (old === null) await retireRecord(paths, record, assertValid)
      else await writeRecord(paths, record, old, durability, assertValid)
      return
    } catch {
      // A disk that fails now and then may not fail the next time.
    }
  }
}

/**
 * Throws unless the staged file still has its name. What it replaces may be removed only after that:
 * another process may have removed the staged file as a leftover of a crash.
 */
export async function assertStaged(paths: ResourcePaths, { name, file }: DataFile): Promise<void> {
  const [named, open] = await Promise.all([
    ifThere(lstat(stagedPath(paths, name), { bigint: true })),
    file.stat({ bigint: true }),
  ])
  if (named?.ino !== open.ino || named.dev !== open.dev) throw changedMeanwhile()
}

/** Moves data onto the path of the finished resource. */
export async function move(paths: ResourcePaths, name: string): Promise<void> {
  try {
    await renameInto(paths, name)
  } catch (error) {
    const code = errorCode(error)
    throw code === 'EISDIR' || code === 'ENOTDIR' ? keyConflict(error) : error
  }
}

async function renameInto(paths: ResourcePaths, name: string): Promise<void> {
  const staged = stagedPath(paths, name)
  for (let tries = 1; ; tries += 1) {
    try {
      await replaceFile(staged, paths.published, stagedPath(paths, newTempName(paths)))
      return
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || tries === MAX_TRIES) throw error
      if ((await ifThere(lstat(staged))) === null) throw error
      // The remove of a neighbour has taken the parent directory, which was empty.
      await makeParents(paths)
    }
  }
}

/**
 * Makes a move durable. No error is worth telling: if the move is lost, the record that came before
 * it leads to the hidden folder, and the move is done again.
 */
export async function syncMove(paths: ResourcePaths, grown: readonly string[]): Promise<void> {
  const directories = new Set([...grown, dirname(paths.published)])
  await Promise.allSettled(Array.from(directories, sync))
}

/** Removes a file that nothing names any more; if that fails, the sweep takes it. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/** Removes the data of an upload that has ended, unless it has moved, and what was known of it. */
export async function dropUpload(resource: FsResource, data: string): Promise<void> {
  const { paths, flusher, fsync } = resource
  flusher.forget(data)
  await discard(stagedPath(paths, data))
  if (fsync !== 'never') await discard(watermarkPath(paths, { data }))
}
