/**
 * Finds the current version of a key from its record and its finished object. The record is read
 * first and the object afterwards. In the other order a reader could return an old version after
 * the new one was visible:
 *
 *     reader                      writer
 *     reads the object: old
 *                                 publishes the new version
 *                                 removes the record
 *     reads the record: absent, and returns the old version
 */
import type { ResourceInfo } from '../adapter.ts'
import type { S3Context } from './context.ts'
import { readFinished } from './long-state.ts'
import { infoOf } from './object-version.ts'
import type { FinishedObject } from './object-version.ts'
import type { Extent, KeyRecord, StoredRecord, VersionContent } from './record.ts'
import { readRecord } from './record-store.ts'

/** The record and the object of a key, as they were read one after the other. */
export interface View {
  /** The record; null if there is none. */
  readonly stored: StoredRecord | null
  /** The finished object; null if there is none, or if it counts as absent (`staleObject`). */
  readonly object: FinishedObject | null
  /**
   * An object of a removed version, which was not deleted yet, or which a delayed write has created
   * again; else null.
   */
  readonly staleObject: FinishedObject | null
  /**
   * Whether the record was written over this object (`KeyRecord.base`). If the object was replaced
   * since, the record is void: only its list of removed versions still counts.
   */
  readonly isValid: boolean
  /** The current version; null if the resource is absent. */
  readonly current: CurrentVersion | null
}

/** The current version of a resource. */
export interface CurrentVersion {
  readonly info: ResourceInfo
  /** Where the bytes of the version are stored, in their order. */
  readonly extents: readonly Extent[]
  /** The bytes after the JSON line of the record, to which inline extents refer. */
  readonly inline: Uint8Array
}

const NOTHING = new Uint8Array(0)

/** Reads the current version of a key. */
export async function viewKey(context: S3Context, key: string): Promise<View> {
  // The name is made first, because it throws for a key that is not allowed.
  context.layout.object(key)
  const stored = await readRecord(context, key)
  return viewObject(context, key, stored)
}

/** Reads the finished object again, and combines it with a record that was read before. */
export async function viewObject(
  context: S3Context,
  key: string,
  stored: StoredRecord | null,
): Promise<View> {
  return viewOf(stored, await readFinished(context, key))
}

/** Decides from the record and the object which version is the current one. */
function viewOf(stored: StoredRecord | null, found: FinishedObject | null): View {
  const isStale = found !== null && stored?.record.removed.includes(found.version) === true
  const object = isStale ? null : found
  const staleObject = isStale ? found : null
  const isValid = stored !== null && stored.record.base === (object?.version ?? null)
  const content = isValid ? openContent(stored.record) : null
  const current = content === null ? ofObject(object) : ofContent(content, stored)
  return { stored, object, staleObject, isValid, current }
}

/**
 * Returns the upload that a record describes, if it is the current version. Returns null if the
 * finished object is the current version, or the resource is absent.
 */
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

/** Returns the whole object as an extent; an empty list for an empty object. */
export function extentsOf({ etag, versionId, info }: FinishedObject): readonly Extent[] {
  if (info.size === 0) return []
  return [{ kind: 'object', etag, versionId, offset: 0, length: info.size }]
}
