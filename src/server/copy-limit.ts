/**
 * Limits the copies of large resources. To change one byte of a finished resource, a storage copies
 * the whole resource, because readers keep the old version. A request of 142 bytes can therefore
 * cause 3 GiB of writes, and a few such requests could occupy the disk.
 */
import { WorkLimit } from '../protocol/work-limit.ts'
import type { OpenWriterOptions, StorageAdapter, Writer } from '../storage/adapter.ts'
import { override } from './override.ts'

/** Largest resource whose copy is not counted, in bytes. */
const SMALL_SIZE = 8 * 1024 * 1024

/**
 * Returns the storage with a limit on copies: a write that would start one more than `maxCopies` at
 * the same time fails with 503 `ERR_BUSY`.
 */
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
 * Whether a writer copies a large resource. A write that replaces the resource needs none of its
 * bytes, and a persist write changes an upload in place.
 */
function isLargeCopy({ base, transaction }: Writer, { replace }: OpenWriterOptions): boolean {
  return transaction === 'atomic' && !replace && base !== null && base.size > SMALL_SIZE
}

/**
 * Returns a writer whose first change counts against the limit while it runs, because the storage
 * makes the copy during that change. Later changes write to the copy. If the first change is
 * refused, the next one counts instead.
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
