/** Creates the storage adapter over a bucket from its operations. */
import type { ListOptions, OpenWriterOptions, StorageAdapter, Writer } from '../adapter.ts'
import { viewAfterPublication } from './await-publication.ts'
import { MemoryBudget } from './budget.ts'
import type { Bucket } from './bucket.ts'
import type { Limits, S3Context } from './context.ts'
import { listed, sweep } from './garbage.ts'
import { layoutOf } from './layout.ts'
import { Pins } from './pins.ts'
import { openReader } from './reader.ts'
import { removeResource } from './remove.ts'
import { viewKey } from './view.ts'
import { S3Writer } from './writer.ts'

/** How a bucket is used. */
export interface BucketStorageOptions {
  readonly bucket: Bucket
  /** Prefix of the names of all finished objects. */
  readonly prefix: string
  /** Prefix of the names of all other objects: records and data objects. */
  readonly internalPrefix: string
  /**
   * Bytes that all uploads together may hold in memory, about. Beyond it writers store their bytes
   * earlier.
   */
  readonly memoryBudget: number
  readonly limits: Limits
}

/** Creates a storage over a bucket. It makes no request. */
export function bucketStorage(options: BucketStorageOptions): StorageAdapter {
  const { bucket, prefix, internalPrefix, memoryBudget, limits } = options
  const context: S3Context = {
    bucket,
    layout: layoutOf(prefix, internalPrefix),
    limits,
    budget: new MemoryBudget(memoryBudget),
    pins: new Pins(),
  }
  return {
    lockScope: bucket.scope ?? bucket,
    head: async (key) => (await viewKey(context, key)).current?.info ?? null,
    openReader: async (key, readerOptions) => openReader(context, key, readerOptions),
    openWriter: async (key, writerOptions) => openWriter(context, key, writerOptions),
    remove: async (key, removeOptions) => removeResource(context, key, removeOptions),
    listIncomplete: (listOptions) => listIncomplete(context, listOptions),
    sweep: () => sweep(context),
  }
}

/**
 * Lists the incomplete resources: those whose record shows an upload. Finished resources have no
 * record, so that the cost does not grow with their number.
 */
async function* listIncomplete(
  context: S3Context,
  { changedBefore }: ListOptions = {},
): AsyncGenerator<string, void, undefined> {
  const { layout } = context
  for await (const { key: name, lastModified } of listed(context, layout.records)) {
    if (changedBefore !== undefined && lastModified > changedBefore) continue
    const key = name.slice(layout.records.length)
    const { current } = await viewKey(context, key)
    if (current?.info.complete === false) yield key
  }
}

/**
 * Opens a writer. If another process has left a publication, it is ended first. Otherwise nothing
 * is changed.
 *
 * @throws UploadError `ERR_CONFLICT` while other writers publish one version after the other.
 */
async function openWriter(
  context: S3Context,
  key: string,
  options: OpenWriterOptions,
): Promise<Writer> {
  const view = await viewAfterPublication(context, key, context.limits.publicationTimeout)
  return new S3Writer(context, key, options, view)
}
