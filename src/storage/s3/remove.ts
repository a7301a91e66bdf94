/**
 * Removes a resource. First its record becomes a tombstone. From then on the resource is absent for
 * all readers, and an object that a delayed request creates again counts as absent too. The object
 * is deleted afterwards.
 */
import type { RemoveOptions } from '../adapter.ts'
import { conflict } from '../conflict.ts'
import { copyObject } from './assemble.ts'
import { isBucketError, repeat } from './attempts.ts'
import { checkBase } from './base-check.ts'
import type { S3Context } from './context.ts'
import type { FinishedObject } from './object-version.ts'
import type { KeyRecord } from './record.ts'
import { RecordHandle, RecordLostError } from './record-store.ts'
import { viewAfterPublication } from './await-publication.ts'
import type { View } from './view.ts'

/** Largest number of removed versions that a tombstone lists. The oldest are dropped. */
const MAX_REMOVED = 16

/**
 * Removes the resource. Returns false if it was absent.
 *
 * @throws UploadError `ERR_CONFLICT` when another writer has changed the resource in between.
 * @throws Error when another process has the lock.
 */
export async function removeResource(
  context: S3Context,
  key: string,
  { isLost }: RemoveOptions = {},
): Promise<boolean> {
  const view = await viewAfterPublication(context, key, 0)
  if (isLost?.() === true) throw new Error('this process has lost the lock of the resource')
  if (view.current === null) {
    if (view.staleObject !== null) await deleteObject(context, key, view.staleObject)
    return false
  }
  const handle = new RecordHandle(context, key, view.stored)
  const isFirst = handle.current === null
  try {
    await handle.replace({ record: tombstone(view), inline: new Uint8Array(0) })
  } catch (error) {
    throw error instanceof RecordLostError ? conflict(error) : error
  }
  if (isFirst) await checkBase(context, key, handle, view)
  const object = view.object ?? view.staleObject
  if (object !== null) await deleteObject(context, key, object)
  return true
}

/**
 * Makes a tombstone, the record of a removed resource. It lists the versions that a delayed request
 * may create again: that of the object, those that created it before, and a version that was being
 * published.
 */
export function tombstone({
  stored,
  object,
}: Pick<View, 'stored' | 'object'>): Omit<KeyRecord, 'nonce'> {
  const record = stored?.record
  const pending = record?.pending ?? null
  const versions = [
    ...(record?.removed ?? []),
    ...(object?.creations ?? []),
    ...(object === null ? [] : [object.version]),
    ...(pending === null ? [] : [pending.token]),
  ]
  return {
    phase: 'gone',
    base: null,
    content: null,
    folder: record?.folder ?? crypto.randomUUID(),
    pending: null,
    removed: [...new Set(versions)].slice(-MAX_REMOVED),
  }
}

/** Deletes the object of a removed resource. Does nothing if another writer has replaced it. */
export async function deleteObject(
  context: S3Context,
  key: string,
  { etag: ifMatch }: FinishedObject,
): Promise<void> {
  const name = context.layout.object(key)
  const copy = (extent: Parameters<typeof copyObject>[2]): Promise<string> =>
    copyObject(context, name, extent)
  await context.pins.replace(name, copy, async () => {
    try {
      await repeat(() => context.bucket.delete(name, { ifMatch }))
    } catch (error) {
      if (!isBucketError(error, 'precondition', 'missing')) throw error
    }
  })
}
