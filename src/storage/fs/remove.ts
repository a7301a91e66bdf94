/** The end of a resource. */

import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { dropUpload } from './commit.ts'
import { ifThere, sync } from './io.ts'
import { lookUp, removeParents } from './paths.ts'
import { durabilityOf } from './resource.ts'
import type { Site } from './resource.ts'
import { find } from './version.ts'
import type { Found } from './version.ts'

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
    await ifThere(sync(dirname(place.published)))
  }
  if (published.kind === 'file') await removeParents(place)
  // The record last: by it the next start finds the directories that a crash has left.
  await removeHidden(site, found)
  return found.kind !== 'absent'
}

async function removeHidden(site: Site, found: Found): Promise<void> {
  const { place } = site
  const isHidden = found.kind === 'incomplete' || isUnpublished(found)
  // Before the record, which leads to it.
  if (isUnpublished(found)) await ifThere(unlink(found.path))
  await ifThere(unlink(place.record))
  if (isHidden && durabilityOf(site) === 'now') await sync(place.hidden)
  if (found.kind === 'incomplete') await dropUpload(site, found.record.data)
}

function isUnpublished(found: Found): found is Extract<Found, { kind: 'complete' }> {
  return found.kind === 'complete' && found.unpublished !== null
}
