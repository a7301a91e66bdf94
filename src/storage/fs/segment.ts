/**
 * Ends one segment of an upload: one request that has brought some of its bytes, but not the last
 * ones.
 */

import type { ResourceInfo, ResourceState } from '../adapter.ts'
import { sameState } from '../state.ts'
import { newRecord } from './commit.ts'
import { writeWatermark } from './durable-size.ts'
import { writeRecord } from './fence.ts'
import { statOf } from './metadata.ts'
import type { FsRecord } from './record.ts'
import { changedMeanwhile, uploadDurability } from './resource.ts'
import type { DataFile, FsResource } from './resource.ts'
import { incompleteInfo } from './version-info.ts'
import type { WriterLease } from './writer-lease.ts'

/** An upload at the end of a segment, as its writer knows it. */
interface Segment {
  /** The data file of the upload. */
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
 * Makes the bytes of a segment as durable as the app has chosen, and stores the state of the
 * upload. If the state has not changed, the record is not written: the length of the data file
 * shows the new bytes, so that such a commit costs nothing beyond the write of its bytes.
 *
 * @throws UploadError `ERR_CONFLICT` when another process has taken over the lock and changed the
 * upload.
 */
export async function commitSegment(
  resource: FsResource,
  lease: WriterLease,
  { data: { name, file }, size, record: old, stored, assertCurrent }: Segment,
  state: ResourceState,
): Promise<{ readonly info: ResourceInfo; readonly isSameRecord: boolean }> {
  const { paths, fsync, flusher } = resource
  const isSameRecord = old !== null && !old.isDirty && sameState(old.state, state)
  // The rename of a new record can become durable before the bytes that were written earlier. After
  // a power cut the record would then describe bytes that the file does not have.
  const isSynced = fsync === 'segment' || (fsync !== 'never' && old !== null && !isSameRecord)
  if (isSynced) await flusher.sync(name, file, 'data')
  const stats = await statOf(paths, file)
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
