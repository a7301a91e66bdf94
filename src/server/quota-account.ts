/**
 * Counts what each owner has in incomplete uploads. The account lives in memory, because to list the storage
 * for each request would cost more than the request. It starts from one listing and follows the changes of
 * this process. Other processes may finish, remove or begin uploads, so the uploads of an owner are read again
 * before the owner is refused, and the storage is listed again from time to time. Several processes together
 * may therefore admit slightly more than the limit, but never refuse an owner that has room.
 */
import { UploadError } from '../errors.ts'
import type { ResourceInfo, StorageAdapter } from '../storage/adapter.ts'

/** What one owner may have; 0: no limit. */
export interface QuotaLimits {
  /** Incomplete resources. */
  readonly maxIncompletePerOwner: number
  /** Bytes in incomplete resources: of each the declared length, or what has arrived if none is. */
  readonly maxIncompleteBytesPerOwner: number
}

/** A storage whose incomplete resources can be listed. */
export type ListableStorage = StorageAdapter & Required<Pick<StorageAdapter, 'listIncomplete'>>

/** Shortest time between two readings of the uploads of one owner, in milliseconds: refusals must stay cheap. */
const REFRESH_INTERVAL = 1000
/** Time after which the storage is listed again, in milliseconds, to find uploads of other processes. */
const LIST_INTERVAL = 10 * 60 * 1000

/** One incomplete upload. */
interface Claim {
  readonly owner: string
  readonly bytes: number
  /** A writer of this process is open. The storage may not show its changes yet, so it must not be read. */
  readonly isOpen: boolean
}

/** All uploads of one owner. */
interface OwnerAccount {
  readonly keys: Set<string>
  /** Sum of their bytes. */
  bytes: number
  refresh: Promise<void>
  refreshedAt: number
}

/** Counts incomplete uploads and their bytes by owner. */
export class QuotaAccount {
  readonly #storage: ListableStorage
  readonly #limits: QuotaLimits
  /** Each incomplete upload, by its key. */
  readonly #claims = new Map<string, Claim>()
  readonly #owners = new Map<string, OwnerAccount>()
  #listing: Promise<void> | null = null
  #listedAt = -Infinity

  constructor(storage: ListableStorage, limits: QuotaLimits) {
    this.#storage = storage
    this.#limits = limits
  }

  /**
   * Reserves `bytes` for the upload of `key`. `settle` or `release` ends the reservation.
   *
   * @throws UploadError `ERR_QUOTA`, `ERR_TOO_MANY_UPLOADS`
   */
  async reserve(owner: string, key: string, bytes: number): Promise<void> {
    const claim = this.#claims.get(key)
    if (claim?.isOpen && claim.owner === owner && claim.bytes >= bytes) return
    await this.#list()
    if (this.#excess(owner, key, bytes) !== null) await this.#refresh(owner)
    const excess = this.#excess(owner, key, bytes)
    if (excess !== null) throw excess
    this.#enter(key, { owner, bytes, isOpen: true })
  }

  /** Enters the state of `key` after its writer has ended. */
  settle(key: string, info: ResourceInfo | null): void {
    const isCounted = info !== null && !info.complete && info.owner !== null
    this.#enter(key, isCounted ? { owner: info.owner, bytes: bytesOf(info), isOpen: false } : null)
  }

  /** Reads the state of `key` after its writer has ended in a way whose outcome is not known. */
  async release(key: string): Promise<void> {
    const claim = this.#claims.get(key)
    if (claim === undefined) return
    // Closed before it is read: if the storage fails now, a later refresh can read this upload.
    this.#enter(key, { ...claim, isOpen: false })
    await this.#look(key).catch(() => undefined)
  }

  /** Lists the storage the first time, and now and then in the background. */
  async #list(): Promise<void> {
    const isFirst = this.#listedAt === -Infinity
    if (performance.now() - this.#listedAt > LIST_INTERVAL) {
      this.#listing ??= this.#listAll().finally(() => {
        this.#listing = null
      })
    }
    // An error of a later listing leaves the account as it is, until the next one.
    if (isFirst) await this.#listing
    else this.#listing?.catch(() => undefined)
  }

  async #listAll(): Promise<void> {
    const unseen = new Set(this.#claims.keys())
    for await (const key of this.#storage.listIncomplete()) {
      unseen.delete(key)
      await this.#look(key)
    }
    for (const key of unseen) await this.#look(key)
    this.#listedAt = performance.now()
  }

  /** Reads the uploads of one owner that have no open writer. */
  #refresh(owner: string): Promise<void> {
    const account = this.#owners.get(owner)
    if (account === undefined) return Promise.resolve()
    if (performance.now() - account.refreshedAt >= REFRESH_INTERVAL) {
      account.refreshedAt = performance.now()
      account.refresh = this.#lookAtEach([...account.keys])
    }
    return account.refresh
  }

  async #lookAtEach(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#look(key)
  }

  /** Reads the state of an upload, unless its writer is open. */
  async #look(key: string): Promise<void> {
    const before = this.#claims.get(key)
    if (before?.isOpen) return
    const info = await this.#storage.head(key)
    // `head` was awaited: a writer that was opened or has ended meanwhile has entered a newer state.
    if (this.#claims.get(key) === before) this.settle(key, info)
  }

  #enter(key: string, claim: Claim | null): void {
    const before = this.#claims.get(key)
    if (before !== undefined) this.#remove(key, before)
    if (claim === null) return
    const account = this.#owners.get(claim.owner) ?? newAccount()
    this.#owners.set(claim.owner, account)
    account.keys.add(key)
    account.bytes += claim.bytes
    this.#claims.set(key, claim)
  }

  #remove(key: string, { owner, bytes }: Claim): void {
    this.#claims.delete(key)
    const account = this.#owners.get(owner)
    if (account === undefined) return
    account.keys.delete(key)
    account.bytes -= bytes
    if (account.keys.size === 0) this.#owners.delete(owner)
  }

  /** The error if `owner` may not have `bytes` in `key`, else null. Bytes that it has already are allowed. */
  #excess(owner: string, key: string, bytes: number): UploadError | null {
    const { maxIncompletePerOwner, maxIncompleteBytesPerOwner } = this.#limits
    const claim = this.#claims.get(key)
    const own = claim?.owner === owner ? claim : null
    const account = this.#owners.get(owner)
    const otherCount = (account?.keys.size ?? 0) - (own === null ? 0 : 1)
    const otherBytes = (account?.bytes ?? 0) - (own?.bytes ?? 0)
    if (claim === undefined && maxIncompletePerOwner > 0 && otherCount >= maxIncompletePerOwner) {
      return tooMany(maxIncompletePerOwner)
    }
    if (maxIncompleteBytesPerOwner === 0 || bytes <= (claim?.bytes ?? 0)) return null
    return otherBytes + bytes > maxIncompleteBytesPerOwner
      ? tooLarge(maxIncompleteBytesPerOwner, otherBytes)
      : null
  }
}

function newAccount(): OwnerAccount {
  return { keys: new Set(), bytes: 0, refresh: Promise.resolve(), refreshedAt: -Infinity }
}

function bytesOf({ completeLength, size }: ResourceInfo): number {
  return completeLength ?? size
}

function tooMany(limit: number): UploadError {
  return new UploadError('ERR_TOO_MANY_UPLOADS', {
    detail: `you have ${limit} incomplete uploads, which is the limit; finish or remove one`,
    headers: { 'Retry-After': '60' },
    members: { limit },
  })
}

function tooLarge(limit: number, used: number): UploadError {
  return new UploadError('ERR_QUOTA', {
    detail: `limit of ${limit} bytes in incomplete uploads; your other uploads hold ${used}`,
    members: { limit, used },
  })
}
