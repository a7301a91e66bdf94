/**
 * The current version of a key, from its record and its finished object. A reader reads the record first and the
 * object afterwards. In the other order it could miss both:
 *
 *     reader                      writer
 *     reads the object: old
 *                                 publishes the new version
 *                                 removes the record
 *     reads the record: absent, and returns the old version after the new one was visible
 */
import type { ResourceInfo } from '../adapter.ts'
import { repeat } from './attempts.ts'
import type { S3Context } from './context.ts'
import { finishedObject, infoOf } from './object-version.ts'
import type { FinishedObject } from './object-version.ts'
import type { Extent, KeyRecord, StoredRecord, VersionContent } from './record.ts'
import { readRecord } from './record-store.ts'

/** One look at a key. */
export interface View {
  /** The record; null if there is none. */
  readonly stored: StoredRecord | null
  /** The finished object; null if there is none, also where a removed one was brought back. */
  readonly object: FinishedObject | null
  /** A removed object that a delayed request has brought back, or that was not deleted; null if there is none. */
  readonly zombie: FinishedObject | null
  /** Whether the record stands over the object. Otherwise what it says, but for the dead versions, is void. */
  readonly isValid: boolean
  /** The current version; null if the resource is absent. */
  readonly current: CurrentVersion | null
}

/** The current version of a resource. */
export interface CurrentVersion {
  readonly info: ResourceInfo
  readonly extents: readonly Extent[]
  /** The bytes of inline extents. */
  readonly inline: Uint8Array
}

const NOTHING = new Uint8Array(0)

/** Reads the current version of a key. */
export async function viewKey(context: S3Context, key: string): Promise<View> {
  const name = context.layout.object(key)
  const stored = await readRecord(context, key)
  const object = await repeat(() => context.bucket.head(name))
  return viewOf(stored, object === null ? null : finishedObject(object))
}

/** Reads the finished object again under a record that is known. */
export async function viewObject(
  context: S3Context,
  key: string,
  stored: StoredRecord | null,
): Promise<View> {
  const object = await repeat(() => context.bucket.head(context.layout.object(key)))
  return viewOf(stored, object === null ? null : finishedObject(object))
}

function viewOf(stored: StoredRecord | null, found: FinishedObject | null): View {
  const isDead = found !== null && stored?.record.dead.includes(found.version) === true
  const object = isDead ? null : found
  const zombie = isDead ? found : null
  const isValid = stored !== null && stored.record.base === (object?.version ?? null)
  const content = isValid ? openContent(stored.record) : null
  const current = content === null ? ofObject(object) : ofContent(content, stored)
  return { stored, object, zombie, isValid, current }
}

/** The content of a record that is the current version; null where the object is, or nothing. */
export function openContent({ phase, content, pending }: KeyRecord): VersionContent | null {
  if (phase === 'gone') return null
  return phase === 'finishing' && pending?.isOpen !== true ? null : content
}

function ofContent(content: VersionContent, stored: StoredRecord | null): CurrentVersion {
  return { info: infoOf(content), extents: content.extents, inline: stored?.inline ?? NOTHING }
}

function ofObject(object: FinishedObject | null): CurrentVersion | null {
  return object === null ? null : { info: object.info, extents: extentsOf(object), inline: NOTHING }
}

/** The whole object as an extent. */
export function extentsOf({ etag, versionId, info }: FinishedObject): readonly Extent[] {
  if (info.size === 0) return []
  return [{ kind: 'object', etag, versionId, offset: 0, length: info.size }]
}
