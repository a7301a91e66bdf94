/** Removes abandoned uploads: incomplete resources that no client has written to for a while. */
import { UploadError } from '../errors.ts'
import { lockerOf, type Locker } from '../storage/lock.ts'
import { withFreeLock } from './free-lock.ts'
import type { ResourceInfo, StorageAdapter } from '../storage/adapter.ts'

/** Options of `expireIncomplete`. */
export interface ExpireOptions {
  /**
   * The storage with the uploads. Pass the object that `partialUpload` has, because locks within a
   * process belong to the storage object, and an upload that is being written must not be removed.
   */
  readonly storage: StorageAdapter
  /**
   * The locker that `partialUpload` has, if the app gave it one.
   *
   * @default the locks of the storage object, as in `partialUpload`
   */
  readonly locker?: Locker
  /**
   * Age beyond which an upload is removed, in milliseconds since its last byte or other change; 0
   * or more. 0 removes each upload that no request is writing to.
   */
  readonly expireAfter: number
  /**
   * Returns the keys that would be removed, and removes nothing.
   *
   * @default false
   */
  readonly dryRun?: boolean
}

/**
 * Removes incomplete resources that are older than `expireAfter`, and returns their keys. Finished
 * resources, and uploads that a request is writing to, stay. The option `expireAfter` of
 * `partialUpload` calls it regularly; an app calls it from a job of its own.
 *
 * @throws TypeError when the storage can't list incomplete resources, or for a wrong option. Errors
 * of the storage pass; the next call tries again.
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

/**
 * Removes one upload if it is old enough and no request is writing to it. Returns whether it has.
 */
async function expire(key: string, options: ExpireOptions): Promise<boolean> {
  const { storage, locker = lockerOf(storage), expireAfter, dryRun = false } = options
  if (!isExpired(await storage.head(key), expireAfter)) return false
  if (dryRun) return true
  // If a request holds the lock, the upload is in use: don't wait for the lock, and don't take it
  // over.
  const isRemoved = await withFreeLock(locker)(
    key,
    // Check again under the lock: a request may have stored a segment since the first check.
    async (isLost) =>
      isExpired(await storage.head(key), expireAfter) &&
      (await storage.remove(key, { isLost }).catch(falseIfChanged)),
  )
  return isRemoved ?? false
}

/**
 * Returns false for `ERR_CONFLICT`: another server on the same store, whose locks this process does
 * not see, has resumed or removed the upload. The other uploads still have to expire.
 */
function falseIfChanged(error: unknown): boolean {
  if (error instanceof UploadError && error.code === 'ERR_CONFLICT') return false
  throw error
}

/** Whether the resource is an upload that is older than `expireAfter` milliseconds. */
function isExpired(info: ResourceInfo | null, expireAfter: number): boolean {
  return info !== null && !info.complete && Date.now() - info.lastModified.getTime() > expireAfter
}

/** Longest time between two runs, in milliseconds. A shorter `expireAfter` needs shorter ones. */
const HOUR = 60 * 60 * 1000

/**
 * Expires uploads and sweeps the storage regularly: every tenth of `expireAfter`, so that an upload
 * lives at most 10 % longer than promised, and at least once an hour. An error goes to `onError`,
 * and the next run tries again. Returns a function that stops it.
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
