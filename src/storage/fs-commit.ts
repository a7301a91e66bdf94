/**
 * The steps that make a version the current one. At every point of them a reader finds the old
 * version or the new one, and so does whoever comes after a crash.
 */

import { open, rename, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ResourceInfo, ResourceState } from './adapter.ts'
import type { Hold, Holds } from './fs-holds.ts'
import { errorCode, ifThere, syncDirectory } from './fs-io.ts'
import { hiddenPath, keyConflict, lookUp, makeParents, removeParents } from './fs-place.ts'
import type { Place } from './fs-place.ts'
import { copyState, identity, newTag, writeRecord } from './fs-record.ts'
import type { Durability, FsRecord } from './fs-record.ts'
import type { Uploads } from './fs-uploads.ts'
import { completeInfo, find } from './fs-version.ts'
import type { Complete, Found, Incomplete } from './fs-version.ts'

/** Removes of neighbours that may take the parent directory of a resource that is being published. */
const MAX_TRIES = 100

/** What a power cut may take: see `FsStorageOptions`. */
export type Fsync = 'complete' | 'segment' | 'never'

/** One resource, as its writers see it. */
export interface Site {
  /** Its paths. */
  readonly place: Place
  /** What is fsynced. */
  readonly fsync: Fsync
  /** The holds of the store. */
  readonly holds: Holds
  /** The uploads of the store that wait for their next segment. */
  readonly uploads: Uploads
}

/** Data in the hidden folder. */
export interface DataFile {
  /** Its name there. */
  readonly name: string
  /** Open for reading and writing. */
  readonly file: FileHandle
}

/** How durable the record of a finished or an atomic version has to be. */
export function durabilityOf({ fsync }: Site): Durability {
  return fsync === 'never' ? 'later' : 'now'
}

/** Makes the record of a new version. */
export function newRecord({ key }: Place, data: string, state: ResourceState): FsRecord {
  return {
    key,
    state: copyState(state),
    tag: newTag(),
    data,
    lastModified: Date.now(),
    pinnedSize: null,
    unsettled: false,
    published: null,
  }
}

/** Makes the error for a writer whose `base` is no longer the current version. */
export function changedMeanwhile(): Error {
  return new Error('the resource was changed by another writer')
}

/**
 * Makes `data` the finished resource in the place of the version of `old`. The new record is the
 * point of no return: from there on the version is found in the hidden folder until it has moved.
 *
 * @throws UploadError `ERR_KEY_CONFLICT`
 * @throws Error when the hold is lost.
 */
export async function publish(
  site: Site,
  hold: Hold,
  data: DataFile,
  state: ResourceState,
  old: FsRecord | null,
): Promise<ResourceInfo> {
  const { place } = site
  const durability = durabilityOf(site)
  try {
    const grown = await makeParents(place)
    if ((await lookUp(place)).kind === 'blocked') throw keyConflict()
    // Not datasync: the identity needs the file's time to outlive a power cut, too.
    if (durability === 'now') await data.file.sync()
    const stat = await data.file.stat({ bigint: true })
    const record = { ...newRecord(place, data.name, state), published: identity(stat) }
    // An fsync can take longer than a lock lives.
    if (hold.lost) throw changedMeanwhile()
    await replaceRecord(place, old, record, durability, () => move(place, data.name))
    if (durability === 'now') await syncMove(place, grown)
    if (old !== null && old.data !== data.name) await discard(hiddenPath(place, old.data))
    return completeInfo(record, Number(stat.size))
  } catch (error) {
    await removeParents(place)
    throw error
  }
}

/** Writes `record`, then does `next`; if either fails, the version of `old` is the current one. */
export async function replaceRecord(
  place: Place,
  old: FsRecord | null,
  record: FsRecord,
  durability: Durability,
  next?: () => Promise<void>,
): Promise<void> {
  try {
    await writeRecord(place, record, durability)
    await next?.()
  } catch (error) {
    // Where this fails as well, the first error tells more.
    await (old === null ? discard(place.record) : writeRecord(place, old, durability)).catch(
      () => {},
    )
    throw error
  }
}

/** Moves data onto the path of the finished resource. */
async function move(place: Place, name: string): Promise<void> {
  try {
    await renameInto(place, name)
  } catch (error) {
    const code = errorCode(error)
    throw code === 'EISDIR' || code === 'ENOTDIR' ? keyConflict(error) : error
  }
}

async function renameInto(place: Place, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await rename(hiddenPath(place, name), place.published)
      return
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || tries === MAX_TRIES) throw error
      // The remove of a neighbour has taken the parent directory, which was empty.
      await makeParents(place)
    }
  }
}

/** Finishes what a crash has left half done. The caller holds the key's lock. */
export async function repair(site: Site, found: Found, hold: Hold): Promise<Found> {
  if (found.kind === 'complete' && found.unpublished !== null) {
    await finishMove(site, found.unpublished)
  } else if (found.kind === 'incomplete' && isInterrupted(found.record)) {
    await finishWrite(site, found)
  } else {
    return found
  }
  site.holds.lose(site.place.hash, 0, hold)
  return find(site.place)
}

async function finishMove(site: Site, name: string): Promise<void> {
  const grown = await makeParents(site.place)
  await move(site.place, name)
  if (durabilityOf(site) === 'now') await syncMove(site.place, grown)
}

function isInterrupted({ pinnedSize, unsettled, published }: FsRecord): boolean {
  return pinnedSize !== null || unsettled || published !== null
}

async function finishWrite({ place }: Site, { path, record }: Incomplete): Promise<void> {
  if (record.published !== null) await removePublished(place, record.published)
  const file = await open(path, 'r+')
  try {
    await settle(place, file, record)
  } finally {
    await file.close()
  }
}

/** Takes back what was written behind the pinned size, and gives the bytes that are left a name. */
export async function settle(place: Place, file: FileHandle, record: FsRecord): Promise<FsRecord> {
  const { pinnedSize, unsettled } = record
  if (pinnedSize !== null && (await file.stat()).size > pinnedSize) {
    await file.truncate(pinnedSize)
    const time = new Date(record.lastModified)
    await file.utimes(time, time)
  }
  const tag = unsettled ? newTag() : record.tag
  const settled = { ...record, tag, pinnedSize: null, unsettled: false, published: null }
  await writeRecord(place, settled, 'later')
  return settled
}

/** Removes the published file of a finished version that an incomplete one has replaced, if it can. */
export async function removePublished(place: Place, replaced: string): Promise<void> {
  const published = await lookUp(place).catch(() => null)
  // Another file has come from elsewhere: it is not ours to remove.
  if (published?.kind !== 'file' || identity(published.stat) !== replaced) return
  await discard(place.published)
  await removeParents(place)
}

/** Removes a resource and says whether there was one. The caller holds the key's lock. */
export async function removeResource(site: Site): Promise<boolean> {
  const { place, holds, uploads } = site
  const found = await find(place)
  holds.lose(place.hash, 0, null)
  await uploads.drop(place.hash)
  const published = await lookUp(place)
  if (published.kind === 'file') await ifThere(unlink(place.published))
  // Removed before the record: without the file that tells nothing, without it the file would.
  if (published.kind === 'file' && durabilityOf(site) === 'now') {
    await ifThere(syncDirectory(dirname(place.published)))
  }
  await removeHidden(site, found)
  if (published.kind === 'file') await removeParents(place)
  return found.kind !== 'absent'
}

async function removeHidden(site: Site, found: Found): Promise<void> {
  const { place } = site
  if (isUnpublished(found)) await ifThere(unlink(found.path))
  await ifThere(unlink(place.record))
  if (found.kind !== 'incomplete') return
  if (durabilityOf(site) === 'now') await syncDirectory(place.hidden)
  await discard(found.path)
}

function isUnpublished(found: Found): found is Complete {
  return found.kind === 'complete' && found.unpublished !== null
}

/** Removes a file that nothing names any more; if that fails, the sweep takes it. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

/**
 * Makes a move durable. No error is worth telling: if the move is lost, the record that came before
 * it leads to the hidden folder, and the move is done again.
 */
async function syncMove(place: Place, grown: readonly string[]): Promise<void> {
  const directories = new Set([...grown, dirname(place.published)])
  await Promise.allSettled(Array.from(directories, syncDirectory))
}
