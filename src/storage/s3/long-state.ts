/**
 * Stores the state of a finished object that is too long for the object's metadata, in an object of
 * its own. Its name contains the version, so that it is written before the version is published,
 * and never changes.
 */
import type { ResourceState } from '../adapter.ts'
import { repeat } from './attempts.ts'
import type { ObjectHeaders } from './bucket.ts'
import type { S3Context } from './context.ts'
import { finishedObject, infoOf, objectHeaders } from './object-version.ts'
import type { FinishedObject } from './object-version.ts'
import type { VersionContent } from './record.ts'

/**
 * Returns the headers of the object that publishes a version, after the state was stored if it is
 * too long for them.
 */
export async function headersFor(
  { bucket, layout }: S3Context,
  key: string,
  version: Omit<VersionContent, 'extents'>,
  creations: readonly string[],
): Promise<ObjectHeaders> {
  const { headers, isLong } = objectHeaders(version, creations)
  if (isLong) {
    const bytes = Buffer.from(JSON.stringify(version.state))
    await repeat(() => bucket.put(layout.state(key, version.version), [bytes]))
  }
  return headers
}

/** Reads the finished object of a key, with its whole state; null if it does not exist. */
export async function readFinished(
  context: S3Context,
  key: string,
): Promise<FinishedObject | null> {
  const found = await repeat(() => context.bucket.head(context.layout.object(key)))
  if (found === null) return null
  const object = finishedObject(found)
  if (!object.hasLongState) return object
  const state = await readState(context, key, object.version)
  if (state === null) return object
  const { info, version } = object
  const time = info.lastModified.getTime()
  return { ...object, info: infoOf({ version, state, time, size: info.size }) }
}

/**
 * Reads the state of a version. Returns null if another tool has removed it, or has copied the
 * object to this key.
 */
function readState(
  { bucket, layout }: S3Context,
  key: string,
  version: string,
): Promise<ResourceState | null> {
  return repeat(async () => {
    const found = await bucket.get(layout.state(key, version))
    if (found === null) return null
    const chunks: Uint8Array[] = []
    for await (const chunk of found.body) chunks.push(chunk)
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString())
    return isState(parsed) ? parsed : null
  })
}

/** Checks one member only: the object was written by this module. */
function isState(value: unknown): value is ResourceState {
  return value instanceof Object && 'everComplete' in value
}
