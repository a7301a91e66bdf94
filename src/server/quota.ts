/**
 * Holds each owner to a number of incomplete resources, and to the bytes that they may come to have.
 *
 * The account is kept in memory, from one look at the storage and every change since. Before it
 * refuses, it looks again: others may have finished or removed what it counts.
 */
import { UploadError } from '../errors.ts'
import type { OpenWriterOptions, ResourceInfo, StorageAdapter, Writer } from '../storage/adapter.ts'

/** What one owner may have; 0: no limit. */
export interface QuotaLimits {
  /** Incomplete resources. */
  readonly maxIncompletePerOwner: number
  /** Bytes in incomplete resources: of each the declared length, or what has arrived if none is. */
  readonly maxIncompleteBytesPerOwner: number
}

/** A storage whose incomplete resources can be listed. */
export type ListableStorage = StorageAdapter & Required<Pick<StorageAdapter, 'listIncomplete'>>

/** Between two looks at the storage at least so many milliseconds pass. */
const LOOK_INTERVAL = 1000

/** The storage, in which a write that would exceed the quota of its owner fails. */
export function withQuota(storage: ListableStorage, limits: QuotaLimits): StorageAdapter {
  const account = new Account(storage, limits)
  return {
    head: (key) => storage.head(key),
    openReader: (key) => storage.openReader(key),
    openWriter: async (key, options) =>
      counted(await storage.openWriter(key, options), key, options, account),
    remove: async (key, options) => {
      const isRemoved = await storage.remove(key, options)
      account.settle(key, null)
      return isRemoved
    },
  }
}

/** A writer that claims what it is about to store. */
function counted(
  writer: Writer,
  key: string,
  { replace, initial }: OpenWriterOptions,
  account: Account,
): Writer {
  const { base } = writer
  const continued = base === null || base.complete || replace ? null : base
  const { owner, completeLength } = continued ?? initial
  if (owner === null) return writer
  const isUpload = base?.complete !== true || replace
  let size = isUpload ? (continued?.size ?? 0) : (base?.size ?? 0)

  async function end(ended: Promise<void>): Promise<void> {
    await ended
    await account.lookAt(key)
  }

  return {
    base,
    transaction: writer.transaction,
    write: async (position, chunks) => {
      const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
      size = Math.max(size, position + length)
      if (isUpload) await account.claim(owner, key, Math.max(size, completeLength ?? 0))
      await writer.write(position, chunks)
    },
    truncate: async (length) => {
      await writer.truncate(length)
      size = length
    },
    read: (start, stop) => writer.read(start, stop),
    commit: async (state) => {
      if (!state.complete) await account.claim(owner, key, state.completeLength ?? size)
      const info = await writer.commit(state)
      account.settle(key, info)
      return info
    },
    keep: () => end(writer.keep()),
    rollback: () => end(writer.rollback()),
  }
}

interface Claim {
  readonly owner: string
  readonly bytes: number
  /** The write goes on: the storage may not show it yet. */
  readonly isOpen: boolean
}

/** What each owner has under way. */
class Account {
  readonly #storage: ListableStorage
  readonly #limits: QuotaLimits
  #claims = new Map<string, Claim>()
  #look: Promise<void> | null = null
  #lookedAt = -Infinity

  constructor(storage: ListableStorage, limits: QuotaLimits) {
    this.#storage = storage
    this.#limits = limits
  }

  /**
   * Enters that the upload of `key` may come to have `bytes`.
   *
   * @throws UploadError `ERR_QUOTA`, `ERR_TOO_MANY_UPLOADS`
   */
  async claim(owner: string, key: string, bytes: number): Promise<void> {
    const claim = this.#claims.get(key)
    if (claim?.isOpen && claim.owner === owner && claim.bytes >= bytes) return
    if (this.#lookedAt === -Infinity) await this.#lookAtAll()
    const isRecent = performance.now() - this.#lookedAt < LOOK_INTERVAL
    if (!isRecent && this.#excess(owner, key, bytes) !== null) await this.#lookAtAll()
    const excess = this.#excess(owner, key, bytes)
    if (excess !== null) throw excess
    this.#claims.set(key, { owner, bytes, isOpen: true })
  }

  /** Enters what has become of `key`. */
  settle(key: string, info: ResourceInfo | null): void {
    if (info === null || info.complete || info.owner === null) this.#claims.delete(key)
    else this.#claims.set(key, { owner: info.owner, bytes: bytesOf(info), isOpen: false })
  }

  /** Looks what has become of `key`, after a write whose outcome is not known. */
  async lookAt(key: string): Promise<void> {
    if (!this.#claims.has(key)) return
    this.settle(key, await this.#storage.head(key))
  }

  #lookAtAll(): Promise<void> {
    this.#look ??= this.#list().finally(() => {
      this.#look = null
    })
    return this.#look
  }

  async #list(): Promise<void> {
    const found = new Map<string, Claim>()
    for await (const key of this.#storage.listIncomplete()) {
      const info = await this.#storage.head(key)
      if (info === null || info.complete || info.owner === null) continue
      found.set(key, { owner: info.owner, bytes: bytesOf(info), isOpen: false })
    }
    // What is being written may have changed since it was looked at.
    for (const [key, claim] of this.#claims) if (claim.isOpen) found.set(key, claim)
    this.#claims = found
    this.#lookedAt = performance.now()
  }

  /** Why `owner` may not have `bytes` in `key`; null if it may. What it has already is not refused. */
  #excess(owner: string, key: string, bytes: number): UploadError | null {
    const { maxIncompletePerOwner, maxIncompleteBytesPerOwner } = this.#limits
    const claim = this.#claims.get(key)
    const own = [...this.#claims].filter(([other, { owner: by }]) => by === owner && other !== key)
    if (claim === undefined && maxIncompletePerOwner > 0 && own.length >= maxIncompletePerOwner) {
      return tooMany(maxIncompletePerOwner)
    }
    if (maxIncompleteBytesPerOwner === 0 || bytes <= (claim?.bytes ?? 0)) return null
    const others = own.reduce((sum, [, { bytes: size }]) => sum + size, 0)
    return others + bytes > maxIncompleteBytesPerOwner
      ? tooLarge(maxIncompleteBytesPerOwner, others)
      : null
  }
}

function bytesOf({ completeLength, size }: ResourceInfo): number {
  return completeLength ?? size
}

function tooMany(limit: number): UploadError {
  return new UploadError('ERR_TOO_MANY_UPLOADS', {
    detail: `you have ${limit} incomplete uploads, which is as many as you may: finish or remove one`,
    headers: { 'Retry-After': '60' },
    members: { limit },
  })
}

function tooLarge(limit: number, used: number): UploadError {
  return new UploadError('ERR_QUOTA', {
    detail: `your incomplete uploads may have ${limit} bytes together, and others have ${used}`,
    members: { limit, used },
  })
}
