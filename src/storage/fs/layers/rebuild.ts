/**
 * The rebuild: copies a version with layers to a new file, and publishes the copy in place of the
 * file below the layers. Bytes, state, entity tag and time of the version stay the same, so that no
 * client notices.
 *
 * The copy is made without the lock of the key, because it takes long for a large file. Patches can
 * be committed meanwhile. Their layers fit over the copy too, even a layer that has absorbed some
 * that were copied: it contains all their ranges, and writes them a second time. Any other change
 * of the resource replaces the file below the layers, in which case the copy is discarded.
 */

import { lstat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { delayAfter, type Backoff } from '../../../delays.ts'
import type { WithLock } from '../../adapter.ts'
import { discard, dropUpload, move, replaceRecord, syncMove } from '../commit.ts'
import { copyVersion } from './copy-version.ts'
import { reserveNumber } from '../file-times.ts'
import { adoptMode, ifThere } from '../io.ts'
import { stagedPath } from '../paths.ts'
import { PrivateCopy } from '../private-copy.ts'
import { openComplete } from '../reader.ts'
import { fileFingerprint } from '../record.ts'
import type { FsRecord, Overlay } from '../record.ts'
import { findFenced, repair } from '../recover.ts'
import { changedMeanwhile, durabilityOf, recordedCache } from '../resource.ts'
import type { FsResource } from '../resource.ts'
import { find, originOf } from '../version.ts'
import type { Complete, Found } from '../version.ts'
import { WriterLease } from '../writer-lease.ts'

/**
 * Number of bytes that are copied between two fsyncs, which spread the writing to the disk evenly.
 */
const FLUSHED_AT_ONCE = 16 * 1024 * 1024
/**
 * Shortest pause of the copy, in milliseconds. Shorter ones add up until they reach it, because a
 * timer may fire some milliseconds late.
 */
const LEAST_PAUSE = 10
/** When the lock of the key is tried again, which a writer of the resource may hold. */
const BACKOFF: Backoff = { first: 10, longest: 1000 }
/** Largest number of attempts to get the lock, which take about a minute together. */
const MAX_TRIES = 70

/** A finished version with a record and layers. */
interface Layered extends Complete {
  readonly record: FsRecord
  readonly overlay: Overlay
}

/**
 * The outcome of a rebuild. `stale`: the copy was discarded, because the resource has changed or
 * its lock was not free.
 */
export type Rebuilt = 'done' | 'stale'

/** Rebuilds the file of a resource, if it has layers. Rejects when `signal` aborts. */
export async function rebuild(
  resource: FsResource,
  withLock: WithLock,
  signal: AbortSignal,
): Promise<Rebuilt> {
  const { paths, leases, layersToRemove } = resource
  const found = await find(paths)
  if (!isLayered(found)) {
    // Another program has replaced or removed the file, so that its layers are not needed. They
    // stay for an hour (`kept-layers.ts`).
    layersToRemove.add(paths, found.stored?.overlay?.layers ?? [])
    return 'done'
  }
  // The lease keeps a sweep of this process from removing the copy, and the owner lease, which is
  // renewed while it lasts, shows other processes that this one is alive.
  const lease = leases.take(paths.hash, 0)
  try {
    return await copyAndPublish(resource, found, withLock, signal)
  } finally {
    leases.drop(lease)
    paths.ownerLease.update()
  }
}

function isLayered(found: Found): found is Layered {
  return found.kind === 'complete' && found.record !== null && found.overlay !== null
}

/** Copies the version and publishes the copy. The copy is removed unless it was published. */
async function copyAndPublish(
  resource: FsResource,
  found: Layered,
  withLock: WithLock,
  signal: AbortSignal,
): Promise<Rebuilt> {
  const source = await openComplete(resource.paths, found)
  if (source === null) return 'stale'
  let copy: PrivateCopy | null = null
  let isPublished = false
  try {
    copy = await PrivateCopy.create(resource.paths, null)
    await copyVersion(source, copy.file, found.info.size, pacer(copy, resource, signal))
    isPublished = await publishWithLock(resource, found, copy, withLock, signal)
    return isPublished ? 'done' : 'stale'
  } finally {
    await copy?.close()
    if (copy !== null && !isPublished) await dropUnnamed(resource, copy.name)
    await source.close()
  }
}

/**
 * Returns a function that is called after each block, limits the rate of the copy, and fsyncs it
 * piece by piece.
 */
function pacer(
  { file }: PrivateCopy,
  resource: FsResource,
  signal: AbortSignal,
): (position: number) => Promise<void> {
  const began = performance.now()
  let flushed = 0
  return async (position) => {
    signal.throwIfAborted()
    if (position - flushed >= FLUSHED_AT_ONCE) {
      flushed = position
      if (durabilityOf(resource) === 'now') await file.datasync()
    }
    const ahead = (position / resource.policy.rebuildRate) * 1000 - (performance.now() - began)
    if (ahead > LEAST_PAUSE) await pause(ahead, null, { ref: false, signal })
  }
}

/**
 * Publishes the copy as soon as the lock of the key is free. Returns false if the copy is stale.
 */
async function publishWithLock(
  resource: FsResource,
  copied: Layered,
  copy: PrivateCopy,
  withLock: WithLock,
  signal: AbortSignal,
): Promise<boolean> {
  const { paths, leases } = resource
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    const outcome = await withLock(paths.key, async (isLost) => {
      const lease = new WriterLease(resource, leases.take(paths.hash, Infinity, isLost))
      try {
        return await publishRebuilt(resource, copied, copy, lease)
      } finally {
        lease.end()
      }
    })
    if (outcome !== null) return outcome
    await pause(delayAfter(tries, BACKOFF), null, { ref: false, signal })
    const current = await find(paths)
    if (!isLayered(current) || current.fingerprint !== copied.fingerprint) return false
  }
  return false
}

/**
 * Publishes the copy, with the layers that were added since the copy was begun. The caller holds
 * the lock. Returns false if the file below the layers was replaced meanwhile, or if the copy does
 * not have the size of the version.
 */
async function publishRebuilt(
  resource: FsResource,
  copied: Layered,
  copy: PrivateCopy,
  lease: WriterLease,
): Promise<boolean> {
  const { paths, flusher } = resource
  const found = await repair(resource, await findFenced(paths), lease)
  if (!isLayered(found) || found.fingerprint !== copied.fingerprint) return false
  const rest = found.overlay.layers.filter((name) => !copied.overlay.layers.includes(name))
  if (rest.length === 0 && found.overlay.size !== copied.overlay.size) return false
  const replaced = await lstat(paths.published, { bigint: true })
  lease.invalidateOthers()
  copy.freezeTime()
  await adoptMode(copy.file, replaced)
  if (durabilityOf(resource) === 'now') await flusher.sync(copy.name, copy.file, 'all')
  const stat = await copy.file.stat({ bigint: true })
  await reserveNumber(stagedPath(paths, copy.name), stat)
  const record = {
    ...found.record,
    data: copy.name,
    durableSize: Number(stat.size),
    pageCache: recordedCache(resource),
    published: fileFingerprint(stat),
    overlay: rest.length === 0 ? null : { ...found.overlay, origin: originOf(stat), layers: rest },
  }
  lease.assertValid()
  await replaceRecord(resource, lease, found.stored, record, async () => {
    await assertPublished(resource, found)
    await move(paths, copy.name)
  })
  if (durabilityOf(resource) === 'now') await syncMove(paths, [])
  await Promise.all(copied.overlay.layers.map((name) => discard(stagedPath(paths, name))))
  await resource.layersToRemove.removeOf(paths)
  return true
}

/**
 * Throws if another program has just put its file at the path, because the rebuild would replace
 * it.
 */
async function assertPublished({ paths }: FsResource, { fingerprint }: Complete): Promise<void> {
  const found = await ifThere(lstat(paths.published, { bigint: true }))
  if (found === null || fileFingerprint(found) !== fingerprint) throw changedMeanwhile()
}

/** Removes the copy, unless a failed commit has left it as the current version. */
async function dropUnnamed(resource: FsResource, name: string): Promise<void> {
  const found = await find(resource.paths)
  if (found.stored?.data !== name) await dropUpload(resource, name)
}
