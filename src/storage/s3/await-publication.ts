/**
 * Ends a publication that another writer has begun: completes it or aborts it, so that the next
 * writer of the key can begin. The other writer may have died.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { conflict } from '../conflict.ts'
import { repeat } from './attempts.ts'
import type { S3Context } from './context.ts'
import { publishPending } from './publish.ts'
import type { StoredRecord } from './record.ts'
import { viewKey, viewObject } from './view.ts'
import type { View } from './view.ts'

/** Largest number of publications that one writer ends before it gives up with `ERR_CONFLICT`. */
const MAX_ROUNDS = 20
/** Milliseconds between two reads of a key that another process publishes. */
const POLL_INTERVAL = 100

/**
 * Reads a key when no publication is in progress. A small publication is completed at once. A large
 * one has `publicationTimeout` milliseconds to end by itself, and is then aborted.
 */
export async function viewAfterPublication(
  context: S3Context,
  key: string,
  publicationTimeout: number,
): Promise<View> {
  const end = performance.now() + publicationTimeout
  for (let round = 0; round < MAX_ROUNDS;) {
    const view = await viewKey(context, key)
    const { stored } = view
    if (stored === null || !view.isValid || stored.record.pending === null) return view
    if (stored.record.pending.upload !== null && performance.now() < end) {
      await pause(POLL_INTERVAL)
      continue
    }
    round += 1
    const ended = await endPublication(context, key, view, stored)
    if (ended !== null) return ended
  }
  throw conflict()
}

/** Ends one publication. Returns null if the key has to be read again. */
async function endPublication(
  context: S3Context,
  key: string,
  view: View,
  stored: StoredRecord,
): Promise<View | null> {
  const { pending } = stored.record
  const name = context.layout.object(key)
  if (pending === null) return view
  if (pending.upload === null) {
    await publishPending(context, key, stored, view.object ?? view.staleObject)
    return null
  }
  const { upload } = pending
  await repeat(() => context.bucket.abortMultipart(name, upload))
  // After the abort the upload can't be completed any more. This read shows whether it was
  // completed before.
  return viewObject(context, key, stored)
}
