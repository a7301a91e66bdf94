/**
 * Removes data objects, records and multipart uploads that no resource needs any more. The name of
 * a data object is never used twice. A data object is therefore garbage if no record names it and
 * it is older than any request that may still be writing its record.
 */
import { repeat } from './attempts.ts'
import type { ListPage } from './bucket.ts'
import type { S3Context } from './context.ts'
import type { StoredRecord } from './record.ts'
import { readFinished } from './long-state.ts'
import { RecordHandle, readRecord } from './record-store.ts'
import { deleteObject } from './remove.ts'
import { viewAfterPublication } from './await-publication.ts'
import { openContent } from './view.ts'

/** Sweeps a bucket. If a step fails, or another process is faster, the next sweep repeats it. */
export async function sweep(context: S3Context): Promise<void> {
  const named = await sweepRecords(context)
  await sweepData(context, named)
  await sweepStates(context)
  await sweepMultiparts(context)
}

/**
 * Removes old records that do not show an upload: tombstones, and those of a published version.
 * Returns the names of all data objects that the other records name.
 */
async function sweepRecords(context: S3Context): Promise<ReadonlySet<string>> {
  const { layout, limits } = context
  const named = new Set<string>()
  for await (const { key: name, lastModified, etag } of listed(context, layout.records)) {
    const key = name.slice(layout.records.length)
    if (isOlder(lastModified, limits.tombstoneAge)) await sweepRecord(context, key, etag)
    const stored = await readRecord(context, key)
    if (stored !== null) for (const each of namesOf(stored)) named.add(each)
  }
  return named
}

/**
 * Completes or aborts a publication that a dead process has left, and removes the record if it does
 * not show an upload.
 */
async function sweepRecord(context: S3Context, key: string, etag: string): Promise<void> {
  const { stored, staleObject, isValid } = await viewAfterPublication(context, key, 0)
  if (staleObject !== null) await deleteObject(context, key, staleObject)
  // The record was replaced after the list was read, so that it is too young to be removed.
  if (stored?.etag !== etag) return
  const isUpload = isValid && openContent(stored.record) !== null
  if (!isUpload) await new RecordHandle(context, key, stored).remove()
}

/** Deletes old data objects that no record names. */
async function sweepData(context: S3Context, named: ReadonlySet<string>): Promise<void> {
  const { bucket, layout, limits } = context
  for await (const { key: name, lastModified } of listed(context, layout.datas)) {
    if (named.has(name) || !isOlder(lastModified, limits.garbageAge)) continue
    await repeat(() => bucket.delete(name))
  }
}

/** Deletes the old long states of versions that are not the finished object. */
async function sweepStates(context: S3Context): Promise<void> {
  const { bucket, layout, limits } = context
  for await (const { key: name, lastModified } of listed(context, layout.states)) {
    if (!isOlder(lastModified, limits.garbageAge)) continue
    const end = name.lastIndexOf('/')
    const key = name.slice(layout.states.length, end)
    const object = await readFinished(context, key)
    if (object?.version !== name.slice(end + 1)) await repeat(() => bucket.delete(name))
  }
}

/**
 * Aborts old multipart uploads, which the store would keep and charge for. Without a prefix, those
 * of finished objects can't be distinguished from those of other programs in the bucket, and a
 * lifecycle rule of the bucket has to abort them.
 */
async function sweepMultiparts(context: S3Context): Promise<void> {
  const { bucket, layout, limits } = context
  for (const prefix of layout.objects === '' ? [layout.datas] : [layout.objects, layout.datas]) {
    let after: string | null | undefined
    while (after !== null) {
      const page = await repeat(() => bucket.listMultiparts(prefix, pageAfter(after)))
      for (const { key, upload, initiated } of page.uploads) {
        if (!isOlder(initiated, limits.garbageAge)) continue
        await repeat(() => bucket.abortMultipart(key, upload))
      }
      after = page.next
    }
  }
}

/** Lists all objects whose name begins with `prefix`. */
export async function* listed(
  { bucket }: S3Context,
  prefix: string,
): AsyncGenerator<ListPage['objects'][number], void, undefined> {
  let after: string | null | undefined
  while (after !== null) {
    const page = await repeat(() => bucket.list(prefix, pageAfter(after)))
    yield* page.objects
    after = page.next
  }
}

function pageAfter(after: string | null | undefined) {
  return after === undefined || after === null ? {} : { after }
}

/** Returns the names of the data objects that a record refers to. */
function namesOf({ record }: StoredRecord): readonly string[] {
  const extents = record.content?.extents ?? []
  return extents.flatMap((extent) => (extent.kind === 'data' ? [extent.name] : []))
}

function isOlder(time: Date, age: number): boolean {
  return Date.now() - time.getTime() > age
}
