/**
 * Limits the copies of large resources. To change one byte of a finished resource, a storage copies the
 * whole resource, because readers keep the old version: 142 bytes of request can cost 3 GiB of writing.
 */
import { WorkLimit } from '../protocol/work-limit.ts'
import type { OpenWriterOptions, StorageAdapter, Writer } from '../storage/adapter.ts'
import { override } from './override.ts'

/** Largest resource that may be copied without being counted, in bytes. */
const SMALL_SIZE = 8 * 1024 * 1024

/** The storage, in which at most `maxCopies` large resources are copied at the same time. */
export function withCopyLimit(storage: StorageAdapter, maxCopies: number): StorageAdapter {
  const limit = new WorkLimit(maxCopies, 'copies of large resources')
  return override(storage, {
    openWriter: async (key, options) => {
      const writer = await storage.openWriter(key, options)
      return isLargeCopy(writer, options) ? limited(writer, limit) : writer
    },
  })
}

/**
 * Whether a writer copies a large resource. A write that replaces the resource needs none of its bytes, and a
 * persist write changes them in place.
 */
function isLargeCopy({ base, transaction }: Writer, { replace }: OpenWriterOptions): boolean {
  return transaction === 'atomic' && !replace && base !== null && base.size > SMALL_SIZE
}

/**
 * A writer whose first change counts against the limit while it runs, because the storage makes the copy in
 * it. If that change is refused as too much, the next one tries again.
 */
function limited(writer: Writer, limit: WorkLimit): Writer {
  let isCopied = false

  async function change<T>(work: () => Promise<T>): Promise<T> {
    if (isCopied) return work()
    const result = await limit.run(work)
    isCopied = true
    return result
  }

  return override(writer, {
    write: (position, chunks) => change(() => writer.write(position, chunks)),
    truncate: (size) => change(() => writer.truncate(size)),
    commit: (state) => change(() => writer.commit(state)),
  })
}
