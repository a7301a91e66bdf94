/** The end of changes that a crash, a power cut or a failing disk has left half done. */

import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { discard, move, syncMove } from './commit.ts'
import type { Hold } from './leases.ts'
import { READ_WRITE } from './io.ts'
import { lookUp, makeParents, removeParents } from './paths.ts'
import type { Place } from './paths.ts'
import { identity, newTag, writeRecord } from './record.ts'
import type { FsRecord } from './record.ts'
import { isOfThisBoot, safeSize } from './durable-size.ts'
import { bootOf, durabilityOf } from './resource.ts'
import type { Site } from './resource.ts'
import { find } from './version.ts'
import type { Found, Incomplete } from './version.ts'

/** Finishes what is half done, before a change. The caller holds the key's lock. */
export async function repair(site: Site, found: Found, hold: Hold): Promise<Found> {
  if (found.kind === 'complete' && found.unpublished !== null) {
    await finishMove(site, found.unpublished)
  } else if (found.kind === 'incomplete' && isInterrupted(site, found.record)) {
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

function isInterrupted({ flusher }: Site, record: FsRecord): boolean {
  const { pinnedSize, unsettled, published, data } = record
  return (
    pinnedSize !== null ||
    unsettled ||
    published !== null ||
    !isOfThisBoot(record) ||
    flusher.isSpoiled(data)
  )
}

async function finishWrite(site: Site, { path, record, limit }: Incomplete): Promise<void> {
  if (record.published !== null) await removePublished(site.place, record.published)
  const file = await open(path, READ_WRITE)
  try {
    if (site.flusher.isSpoiled(record.data)) await distrust(site, file, record, limit)
    else await settle(site, file, record, limit)
  } finally {
    await file.close()
  }
}

/**
 * Takes back what was written behind the pinned size and behind `limit`, and gives the bytes that are
 * left a name.
 */
export async function settle(
  site: Site,
  file: FileHandle,
  record: FsRecord,
  limit = Number.POSITIVE_INFINITY,
): Promise<FsRecord> {
  const { pinnedSize, unsettled, lastModified, data } = record
  const { size } = await file.stat()
  const end = Math.min(size, limit, pinnedSize ?? size)
  if (end < size) await file.truncate(end)
  // In the middle of the millisecond, since the way to the disk may take some of it.
  const time = (lastModified + 0.5) / 1000
  if (end < size && pinnedSize === end) await file.utimes(time, time)
  const durability = durabilityOf(site)
  if (durability === 'now') await site.flusher.sync(data, file, 'data')
  const settled = {
    ...record,
    tag: unsettled || !isOfThisBoot(record) ? newTag() : record.tag,
    boot: bootOf(site),
    safeSize: end,
    pinnedSize: null,
    unsettled: false,
    published: null,
  }
  await writeRecord(site.place, settled, durability)
  return settled
}

/**
 * Takes back what an fsync that has failed may have lost, and all behind `limit`. As little as can be
 * is asked of the disk.
 */
export async function distrust(
  site: Site,
  file: FileHandle,
  record: FsRecord,
  limit: number,
): Promise<FsRecord> {
  const { place, holds, flusher } = site
  const { size } = await file.stat()
  const end = Math.min(size, limit, await safeSize(place, record))
  await file.truncate(end)
  holds.lose(record.data, end, null)
  const left = {
    ...record,
    tag: newTag(),
    lastModified: Date.now(),
    boot: bootOf(site),
    safeSize: end,
    pinnedSize: null,
    unsettled: false,
    published: null,
  }
  await writeRecord(place, left, 'now').catch(() => writeRecord(place, left, 'later'))
  flusher.forget(record.data)
  return left
}

/** Removes the published file of a finished version that an incomplete one has replaced, if it can. */
export async function removePublished(place: Place, replaced: string): Promise<void> {
  const published = await lookUp(place).catch(() => null)
  // Another file has come from elsewhere: it is not ours to remove.
  if (published?.kind !== 'file' || identity(published.stat) !== replaced) return
  await discard(place.published)
  await removeParents(place)
}
