/**
 * Limits the number of incomplete resources of each owner, and the bytes that are stored or
 * declared in them.
 */
import type {
  OpenWriterOptions,
  ResourceInfo,
  ResourceState,
  StorageAdapter,
  Writer,
} from '../storage/adapter.ts'
import { override } from './override.ts'
import { QuotaAccount, type ListableStorage, type QuotaLimits } from './quota-account.ts'

/**
 * Returns the storage with a quota: a write that would exceed the quota of its owner fails with
 * `ERR_QUOTA` or `ERR_TOO_MANY_UPLOADS`. The check is in a wrapper of the writer and not in the
 * protocol, because only there each change of the size of a resource passes, for all methods.
 */
export function withQuota(storage: ListableStorage, limits: QuotaLimits): StorageAdapter {
  const account = new QuotaAccount(storage, limits)
  return override(storage, {
    openWriter: async (key, options) =>
      withAccounting(await storage.openWriter(key, options), key, options, account),
    remove: async (key, options) => {
      const isRemoved = await storage.remove(key, options)
      account.update(key, null)
      return isRemoved
    },
  })
}

/**
 * Returns a writer that reserves bytes before it stores them. If it stored them first, two requests
 * of one owner could both see room for the last bytes, and together exceed the quota.
 *
 * An upload without an owner is not counted. A patch of a finished resource is counted only if it
 * makes the resource incomplete again, because the quota covers incomplete resources only.
 */
function withAccounting(
  writer: Writer,
  key: string,
  options: OpenWriterOptions,
  account: QuotaAccount,
): Writer {
  const { owner, completeLength, isUpload, before } = countedUpload(writer.base, options)
  if (owner === null) return writer
  /** Size of the resource after the changes so far, in bytes. */
  let size = before

  /**
   * Ends the reservation even if the storage fails. `release` then reads from the storage how many
   * bytes it kept.
   */
  async function end(ended: Promise<void>): Promise<void> {
    try {
      await ended
    } finally {
      await account.release(key)
    }
  }

  return override(writer, {
    write: async (position, chunks) => {
      const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
      size = Math.max(size, position + length)
      if (isUpload) await account.reserve(owner, key, Math.max(size, completeLength ?? 0))
      await writer.write(position, chunks)
    },
    truncate: async (length) => {
      await writer.truncate(length)
      size = length
    },
    commit: async (state) => {
      if (!state.complete) await account.reserve(owner, key, state.completeLength ?? size)
      const info = await writer.commit(state)
      account.update(key, info)
      return info
    },
    keep: () => end(writer.keep()),
    rollback: () => end(writer.rollback()),
  })
}

/** The upload that a write continues or starts, as far as the quota counts it. */
interface CountedUpload extends Pick<ResourceState, 'owner' | 'completeLength'> {
  /**
   * Whether the resource is incomplete during the write. A patch of a finished one is not an
   * upload.
   */
  readonly isUpload: boolean
  /** Size of the resource before the write, in bytes. */
  readonly before: number
}

/** Returns what the quota counts of a write. An upload belongs to the owner that began it. */
function countedUpload(
  base: ResourceInfo | null,
  { replace, initial }: OpenWriterOptions,
): CountedUpload {
  const isUpload = base === null || !base.complete || replace
  const continued = replace ? null : base
  const { owner, completeLength } = isUpload && continued !== null ? continued : initial
  return { owner, completeLength, isUpload, before: continued?.size ?? 0 }
}
