/** Ends one segment of an upload: a request that has brought some of its bytes, but not the last ones. */

import { fstatSync } from 'node:fs'
import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { sameState } from '../state.ts'
import { newRecord } from './commit.ts'
import { writeWatermark } from './durable-size.ts'
import { writeRecord } from './fence.ts'
import type { FsRecord } from './record.ts'
import { changedMeanwhile, uploadDurability } from './resource.ts'
import type { DataFile, FsResource } from './resource.ts'
import { incompleteInfo } from './version-info.ts'
import type { WriterLease } from './writer-lease.ts'

/** An upload at the end of a segment, as its writer knows it. */
interface Segment {
  /** Its data file. */
  readonly data: DataFile
  /** Length of the data file in bytes. */
  readonly size: number
  /** The record of the upload; null if it has no record yet. */
  readonly record: FsRecord | null
  /** The record that the first record of the upload replaces. */
  readonly stored: FsRecord | null
  /** Throws if another writer has changed the upload. */
  readonly assertCurrent: () => Promise<void>
}

/**
 * Makes the bytes of a segment as durable as the app has chosen, and stores the state. If the state is the same as
 * before, the record stays as it is, because the length of the data file already shows the new bytes: such a commit
 * writes nothing but the bytes themselves.
 */
export async function commitSegment(
  resource: FsResource,
  lease: WriterLease,
  { data: { name, file }, size, record: old, stored, assertCurrent }: Segment,
  state: ResourceState,
): Promise<{ readonly info: ResourceInfo; readonly isSameRecord: boolean }> {
  const { paths, fsync, flusher } = resource
  const isSameRecord = old !== null && !old.isDirty && sameState(old.state, state)
  // A record that replaces another one must not become durable before its data.
  const isSynced = fsync === 'segment' || (fsync !== 'never' && old !== null && !isSameRecord)
  if (isSynced) await flusher.sync(name, file, 'data')
  // Synchronous, because for an open file the system answers from memory.
  const stats = fstatSync(file.fd)
  if (stats.nlink === 0 || stats.size !== size) throw changedMeanwhile()
  if (isSameRecord) {
    if (isSynced) await writeWatermark(paths, old, stats.size)
    return { info: incompleteInfo(old, stats), isSameRecord }
  }
  await assertCurrent()
  const mode = old?.mode ?? null
  const durableSize = isSynced ? stats.size : 0
  const record = { ...newRecord(resource, name, state, durableSize), mode }
  const durability = uploadDurability(resource, old)
  await writeRecord(paths, old ?? stored, record, durability, lease.assertValid)
  return { info: incompleteInfo(record, stats), isSameRecord }
}
