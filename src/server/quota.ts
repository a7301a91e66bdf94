/** Limits the incomplete resources of each owner, and the bytes that are stored or announced in them. */
import type { OpenWriterOptions, StorageAdapter, Writer } from '../storage/adapter.ts'
import { override } from './override.ts'
import { QuotaAccount, type ListableStorage, type QuotaLimits } from './quota-account.ts'

/**
 * The storage, in which a write that would exceed the quota of its owner fails. The quota stands in front of the
 * storage and not in the protocol, because only the writer knows how far a resource grows.
 */
export function withQuota(storage: ListableStorage, limits: QuotaLimits): StorageAdapter {
  const account = new QuotaAccount(storage, limits)
  return override(storage, {
    openWriter: async (key, options) =>
      withAccounting(await storage.openWriter(key, options), key, options, account),
    remove: async (key, options) => {
      const isRemoved = await storage.remove(key, options)
      account.settle(key, null)
      return isRemoved
    },
  })
}

/**
 * A writer that reserves what it is about to store: first the reservation, then the bytes, so that two requests
 * of one owner can't both find room for the last bytes.
 *
 * An upload without an owner is not counted. A patch of a finished resource is counted only if it makes the
 * resource incomplete again, because the quota is about incomplete resources.
 */
function withAccounting(
  writer: Writer,
  key: string,
  { replace, initial }: OpenWriterOptions,
  account: QuotaAccount,
): Writer {
  const { base } = writer
  const continued = base === null || base.complete || replace ? null : base
  const { owner, completeLength } = continued ?? initial
  if (owner === null) return writer
  const isUpload = base?.complete !== true || replace
  /** Bytes of the resource with the changes of this write, as far as they are known here. */
  let size = isUpload ? (continued?.size ?? 0) : (base?.size ?? 0)

  /** Releases the reservation also where the storage fails: what it has kept is read again. */
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
      account.settle(key, info)
      return info
    },
    keep: () => end(writer.keep()),
    rollback: () => end(writer.rollback()),
  })
}
