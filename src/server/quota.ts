/** Limits the incomplete resources of each owner, and the bytes that are stored or announced in them. */
import type { OpenWriterOptions, StorageAdapter, Writer } from '../storage/adapter.ts'
import { override } from './override.ts'
import { QuotaAccount, type ListableStorage, type QuotaLimits } from './quota-account.ts'

/** The storage, in which a write that would exceed the quota of its owner fails. */
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

/** A writer that reserves what it is about to store. */
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
  let size = isUpload ? (continued?.size ?? 0) : (base?.size ?? 0)

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
