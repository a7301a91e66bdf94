/**
 * The steps by which a new version becomes the current one. After each step a reader finds the old
 * or the new version as a whole, and so does the first process after a crash:
 *
 * 1. The data file is complete and durable in the staging directory. The old record is still
 *    current.
 * 2. The new record replaces the old one by a rename. From now on the new version is current, and
 *    readers open its data file in the staging directory.
 * 3. The data file is renamed to the path of the resource, over the old file.
 */

import { lstat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { putRecord, retireRecord, writeRecord } from './fence.ts'
import { reserveNumber } from './file-times.ts'
import { adoptMode, errorCode, ifThere, sync } from './io.ts'
import { stagedPath, keyConflict, newTempName } from './paths.ts'
import { findPublished } from './published.ts'
import { makeParents, removeMade, removeRemains } from './parents.ts'
import type { ResourcePaths } from './paths.ts'
import { copyState } from '../state.ts'
import { fileFingerprint, loadRecord, newTag } from './record.ts'
import type { FsRecord } from './record.ts'
import { watermarkPath } from './durable-size.ts'
import { changedMeanwhile, durabilityOf, recordedCache } from './resource.ts'
import type { DataFile, FsResource } from './resource.ts'
import { replaceFile } from './windows.ts'
import type { WriterLease } from './writer-lease.ts'
import { find } from './version.ts'
import { completeInfo } from './version-info.ts'
import type { Found } from './version.ts'

/**
 * Largest number of attempts to rename a file to its path, while removals of other resources in the
 * same directory remove the directory again and again.
 */
const MAX_TRIES = 100

/** Largest number of attempts to restore the previous record after a failed commit. */
const RESTORE_TRIES = 3

/** Makes the record of a new version. `durableSize` bytes of its data file have been fsynced. */
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
    overlay: null,
    mode: null,
  }
}

/**
 * Makes `data` the finished resource in place of the version of `old`. The rename of the new record
 * is the point of no return: from then on readers find the new version in the staging directory,
 * until its file is moved to the path of the resource.
 *
 * @throws UploadError `ERR_KEY_CONFLICT` when a directory that is not empty is at the path.
 * @throws UploadError `ERR_CONFLICT` when another writer has changed the resource.
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
    const existing = await findPublished(paths)
    if (existing.kind === 'blocked' && !(await removeRemains(paths))) throw keyConflict()
    if (existing.kind === 'file') await adoptMode(data.file, existing.stat)
    else if (old !== null && old.mode !== null) await data.file.chmod(old.mode)
    // The times have to be durable too, because the modification time is a part of the fingerprint.
    // If a power cut changed it, the record would not match its file any more.
    if (durability === 'now') await resource.flusher.sync(data.name, data.file, 'all')
    const stat = await data.file.stat({ bigint: true })
    if (stat.nlink === 0n) throw changedMeanwhile()
    await reserveNumber(stagedPath(paths, data.name), stat)
    const size = Number(stat.size)
    const record = {
      ...newRecord(resource, data.name, state, size),
      published: fileFingerprint(stat),
    }
    // The fsync may have taken so long that another process treats this one as dead and has taken
    // the lock.
    lease.assertValid()
    await replaceRecord(resource, lease, old, record, () => move(paths, data.name))
    if (durability === 'now') await syncMove(paths, grown)
    if (old?.state.complete === false) await dropUpload(resource, old.data)
    await dropLayers(resource, old)
    return completeInfo(record, size)
  } catch (error) {
    await removeMade(paths, grown)
    throw error
  }
}

/** The version on which a writer builds. `size` is undefined if the resource is absent. */
interface Expected {
  readonly kind: Found['kind']
  readonly revision: string
  readonly size?: number | undefined
}

/**
 * Throws unless the version on the disk is the expected one. A process that writes without a lock,
 * or that has taken the lock over, may have changed the resource since the writer was opened.
 *
 * @throws UploadError `ERR_CONFLICT`
 */
export async function assertCurrent(paths: ResourcePaths, expected: Expected): Promise<void> {
  const found = await find(paths)
  const size = found.kind === 'absent' ? undefined : found.info.size
  const isSame = found.kind === expected.kind && found.revision === expected.revision
  if (!isSame || size !== expected.size) throw changedMeanwhile()
}

/**
 * Writes `record` and then calls `next`. If `next` fails, `old` becomes the record again, unless
 * another process has taken over the lock meanwhile.
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
 * Makes `old` the record again, after the record of the next version was written and a later step
 * has failed. Best effort. It throws only if the lock was lost, because the error of the later step
 * says more about the cause than a failure to undo it.
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
      // The next attempt may succeed: a rename on a failing disk or on NFS fails only at times.
    }
  }
}

/**
 * Throws unless the staged file still has its name. A sweep of another process may have unlinked it
 * as a leftover of a crash. The caller removes the data that the file replaces, which would be the
 * only copy then.
 */
export async function assertStaged(paths: ResourcePaths, { name, file }: DataFile): Promise<void> {
  const [named, open] = await Promise.all([
    ifThere(lstat(stagedPath(paths, name), { bigint: true })),
    file.stat({ bigint: true }),
  ])
  if (named?.ino !== open.ino || named.dev !== open.dev) throw changedMeanwhile()
}

/**
 * Renames a data file to the path of the finished resource, over the old file.
 *
 * @throws UploadError `ERR_KEY_CONFLICT` when a directory is at the path, or a file above it.
 */
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
      // ENOENT although the staged file exists: another request has removed the last resource of
      // the parent directory, and with it the directory.
      await makeParents(paths)
    }
  }
}

/**
 * Makes the move of a data file durable. Errors are ignored, because no version is lost with the
 * move: the record, which is durable already, refers to the data file in the staging directory, and
 * the next writer repeats the move.
 */
export async function syncMove(paths: ResourcePaths, grown: readonly string[]): Promise<void> {
  const directories = new Set([...grown, dirname(paths.published)])
  await Promise.allSettled(Array.from(directories, sync))
}

/** Unlinks a file to which no record refers. Best effort, because a sweep removes it later. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/**
 * Removes the layers of `old`, which a durable record without layers has replaced, and all layers
 * of the resource that were kept after a merge.
 */
export async function dropLayers(resource: FsResource, old: FsRecord | null): Promise<void> {
  const { paths, layersToRemove } = resource
  const names = old?.overlay?.layers ?? []
  await Promise.all(names.map((name) => discard(stagedPath(paths, name))))
  await layersToRemove.removeOf(paths)
}

/**
 * Removes the data file of an upload that has ended, and its watermark. If the data file was
 * published, it has no name in the staging directory any more.
 */
export async function dropUpload(resource: FsResource, data: string): Promise<void> {
  const { paths, flusher, fsync } = resource
  flusher.forget(data)
  await discard(stagedPath(paths, data))
  if (fsync !== 'never') await discard(watermarkPath(paths, { data }))
}

/**
 * Returns whether the record refers to this data file. That is the case after a failed commit which
 * could not restore the old record either: the data file is the current version then, and must not
 * be removed.
 */
export async function isNamed(paths: ResourcePaths, data: string): Promise<boolean> {
  return (await loadRecord(paths))?.data === data
}
