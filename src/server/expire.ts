/** Removes abandoned uploads. */
import { lockerOf, type Locker } from '../storage/lock.ts'
import { withFreeLock } from './free-lock.ts'
import type { ResourceInfo, StorageAdapter } from '../storage/adapter.ts'

/** What expires. */
export interface ExpireOptions {
  /** The storage that `partialUpload` has: the same object, so that both share their locks. */
  readonly storage: StorageAdapter
  /**
   * The locker that `partialUpload` has.
   *
   * @default that of the storage, as in `partialUpload`
   */
  readonly locker?: Locker
  /**
   * Milliseconds since the last byte, or the last other change, beyond which an upload is removed. Any
   * number from 0; 0 removes every upload that is not being written.
   */
  readonly expireAfter: number
  /**
   * Return the keys that would be removed, and remove nothing.
   *
   * @default false
   */
  readonly dryRun?: boolean
}

/**
 * Removes incomplete resources that were not written to for a while, and returns their keys. Finished
 * resources and those that are being written stay.
 *
 * @throws TypeError when the storage can't list incomplete resources, or for a wrong option.
 */
export async function expireIncomplete(options: ExpireOptions): Promise<readonly string[]> {
  const { storage, expireAfter } = options
  if (storage.listIncomplete === undefined) {
    throw new TypeError('storage must have listIncomplete() to expire uploads')
  }
  if ('olderThan' in options) throw new TypeError('olderThan is not an option: use expireAfter')
  if (!Number.isFinite(expireAfter) || expireAfter < 0) {
    throw new TypeError(`expireAfter must be a number of milliseconds, not ${expireAfter}`)
  }
  const expired: string[] = []
  const changedBefore = new Date(Date.now() - expireAfter)
  for await (const key of storage.listIncomplete({ changedBefore })) {
    if (await expire(key, options)) expired.push(key)
  }
  return expired
}

async function expire(key: string, options: ExpireOptions): Promise<boolean> {
  const { storage, locker = lockerOf(storage), expireAfter, dryRun = false } = options
  if (!isExpired(await storage.head(key), expireAfter)) return false
  if (dryRun) return true
  // A resource that is being written is not removed, so that its lock is neither waited for nor taken over.
  const isRemoved = await withFreeLock(locker)(
    key,
    // Check again: another request may have stored a segment before this one got the lock.
    async (isLost) =>
      isExpired(await storage.head(key), expireAfter) && (await storage.remove(key, { isLost })),
  )
  return isRemoved ?? false
}

function isExpired(info: ResourceInfo | null, expireAfter: number): boolean {
  return info !== null && !info.complete && Date.now() - info.lastModified.getTime() > expireAfter
}

/** Longest time between two runs, in milliseconds. */
const HOUR = 60 * 60 * 1000

/**
 * Expires uploads and sweeps the storage again and again, every tenth of `expireAfter` but at least once an
 * hour, until the returned function is called. An error goes to `onError`, and the next run tries again.
 */
export function expireRegularly(
  options: ExpireOptions,
  onError: (error: unknown) => void,
): () => void {
  const period = Math.min(HOUR, Math.max(1, Math.ceil(options.expireAfter / 10)))
  let isStopped = false
  let timer = schedule()

  function schedule(): NodeJS.Timeout {
    return setTimeout(() => void run(), period).unref()
  }
  async function run(): Promise<void> {
    await expireIncomplete(options).catch(onError)
    await options.storage.sweep?.().catch(onError)
    if (!isStopped) timer = schedule()
  }
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}
