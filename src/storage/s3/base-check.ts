/** Checks, with the first record of a key, that the finished object has not changed meanwhile. */
import { conflict } from '../conflict.ts'
import { repeat } from './attempts.ts'
import type { S3Context } from './context.ts'
import { finishedObject } from './object-version.ts'
import type { RecordHandle } from './record-store.ts'
import type { View } from './view.ts'

/**
 * Checks that the object still is the base of this writer, after it has created the first record of
 * the key. It excludes this interleaving:
 *
 *     this writer                 another writer
 *     reads: no record, object 1
 *                                 writes its fence, publishes object 2, removes its record
 *     creates a record, which claims that object 1 is the base
 *
 * Once the record of this writer exists, every other writer has to replace it before it publishes.
 *
 * @throws UploadError `ERR_CONFLICT` when another writer has published. The record is removed then.
 */
export async function checkBase(
  context: S3Context,
  key: string,
  handle: RecordHandle,
  view: Pick<View, 'object' | 'staleObject'>,
): Promise<void> {
  const found = await repeat(() => context.bucket.head(context.layout.object(key)))
  const expected = (view.object ?? view.staleObject)?.version ?? null
  const version = found === null ? null : finishedObject(found).version
  if (version === expected || (version === null && view.object === null)) return
  await handle.remove()
  throw conflict()
}
