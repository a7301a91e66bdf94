/**
 * Counts what each owner has in incomplete uploads. The account is kept in memory, because listing
 * the storage for each request would cost more than the request. It starts from one listing and
 * follows the changes of this process.
 *
 * Other processes may finish, remove or begin uploads without notice. Before an owner is refused,
 * the uploads of this owner are therefore read again, and the storage is listed again every ten
 * minutes. Several processes together may admit slightly more than the limit, but don't refuse an
 * owner that has room.
 */
import { UploadError } from '../errors.ts'
import type { ResourceInfo, StorageAdapter } from '../storage/adapter.ts'

/** The quota of one owner; 0 means no limit. */
export interface QuotaLimits {
  /** Largest number of incomplete resources. Beyond it: 429 `ERR_TOO_MANY_UPLOADS`. */
  readonly maxIncompletePerOwner: number
  /**
   * Largest sum of the lengths of all incomplete resources, in bytes. The length is the declared
   * one, or the number of stored bytes if the client has declared none. Beyond it: 507 `ERR_QUOTA`.
   */
  readonly maxIncompleteBytesPerOwner: number
}

/** A storage whose incomplete resources can be listed. */
export type ListableStorage = StorageAdapter & Required<Pick<StorageAdapter, 'listIncomplete'>>

/**
 * Shortest time between two readings of the uploads of one owner, in milliseconds. An owner that
 * has reached the limit can send any number of requests, and each of them must stay cheap.
 */
const REFRESH_INTERVAL = 1000
/**
 * Time after which the storage is listed again, in milliseconds, to find uploads of other
 * processes.
 */
const LIST_INTERVAL = 10 * 60 * 1000

/** What one incomplete upload counts for. */
interface Claim {
  readonly owner: string
  /** The declared length, or the number of bytes that are stored or about to be. */
  readonly bytes: number
  /**
   * Whether a writer of this process is open. The storage may not show its changes yet, so it must
   * not be read.
   */
  readonly isOpen: boolean
}

/** All uploads of one owner. */
interface OwnerAccount {
  readonly keys: Set<string>
  /** Sum of their bytes. */
  bytes: number
  /** The last reading of these uploads, which all requests of its interval share. */
  refresh: Promise<void>
  /** When it began, by `performance.now()`. */
  refreshedAt: number
}

/** Counts incomplete uploads and their bytes by owner. */
export class QuotaAccount {
  readonly #storage: ListableStorage
  readonly #limits: QuotaLimits
  /** Each incomplete upload, by its key. */
  readonly #claims = new Map<string, Claim>()
  readonly #owners = new Map<string, OwnerAccount>()
  /** The listing that is running; null between listings. */
  #listing: Promise<void> | null = null
  /** When the last listing ended; before the first one the account is empty, and can't be used. */
  #listedAt = -Infinity

  constructor(storage: ListableStorage, limits: QuotaLimits) {
    this.#storage = storage
    this.#limits = limits
  }

  /**
   * Reserves `bytes` in all for the upload of `key`, before they are stored. A later call with more
   * bytes extends the reservation, and `update` or `release` ends it.
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

  /**
   * Enters the state of `key` after its writer has ended; `info` is null if the resource was
   * removed.
   */
  update(key: string, info: ResourceInfo | null): void {
    const isCounted = info !== null && !info.complete && info.owner !== null
    this.#enter(key, isCounted ? { owner: info.owner, bytes: bytesOf(info), isOpen: false } : null)
  }

  /**
   * Reads the state of `key` after its writer has ended without a commit. Only the storage knows
   * which bytes it has kept.
   */
  async release(key: string): Promise<void> {
    const claim = this.#claims.get(key)
    if (claim === undefined) return
    // Mark the claim as closed before the read, because a refresh can only then retry a read that
    // fails here.
    this.#enter(key, { ...claim, isOpen: false })
    await this.#read(key).catch(() => undefined)
  }

  /**
   * Lists the storage: the first time the request waits for it, later it happens in the background.
   */
  async #list(): Promise<void> {
    const isFirst = this.#listedAt === -Infinity
    if (performance.now() - this.#listedAt > LIST_INTERVAL) {
      this.#listing ??= this.#listAll().finally(() => {
        this.#listing = null
      })
    }
    // An error of a later listing leaves the account as it is. The next request starts a new
    // listing.
    if (isFirst) await this.#listing
    else this.#listing?.catch(() => undefined)
  }

  /**
   * Reads the state of each upload in the storage, and of each claim that the listing does not
   * have.
   */
  async #listAll(): Promise<void> {
    const unseen = new Set(this.#claims.keys())
    for await (const key of this.#storage.listIncomplete()) {
      unseen.delete(key)
      await this.#read(key)
    }
    // Another process may have finished or removed the uploads that the listing does not have. Read
    // their state, to free their quota.
    for (const key of unseen) await this.#read(key)
    this.#listedAt = performance.now()
  }

  /** Reads the uploads of one owner that have no open writer. */
  #refresh(owner: string): Promise<void> {
    const account = this.#owners.get(owner)
    if (account === undefined) return Promise.resolve()
    if (performance.now() - account.refreshedAt >= REFRESH_INTERVAL) {
      account.refreshedAt = performance.now()
      account.refresh = this.#readEach([...account.keys])
    }
    return account.refresh
  }

  async #readEach(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#read(key)
  }

  /** Reads the state of an upload and enters it, unless this process has an open writer for it. */
  async #read(key: string): Promise<void> {
    const before = this.#claims.get(key)
    if (before?.isOpen) return
    const info = await this.#storage.head(key)
    // A writer may have been opened or have ended during `head`. It has then entered a newer claim,
    // which must stay.
    if (this.#claims.get(key) === before) this.update(key, info)
  }

  /** Replaces the claim of `key` and adjusts the sums of the owners. */
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

  /**
   * Returns the error if `owner` may not have `bytes` in the upload of `key`; null if it may. An
   * upload that does not grow is always allowed, so that a lowered limit does not block the uploads
   * that exist.
   */
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
