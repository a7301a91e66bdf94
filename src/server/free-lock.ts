/** Acquires locks for work in the background, such as expiry, which must not delay requests. */
import { UploadError } from '../errors.ts'
import type { WithLock } from '../storage/adapter.ts'
import type { Lock, Locker } from '../storage/lock.ts'

/**
 * Fail at once if a request holds the lock, instead of waiting. `stall` is the silence, in
 * milliseconds, after which a waiting request may take over the lock: the largest number, so that
 * it never happens.
 */
const UNDISTURBING = { wait: 0, stall: Number.MAX_SAFE_INTEGER }

/**
 * Returns a function that runs work while it holds the lock of a key. If a request holds the lock,
 * the work is not run and the result is null, because the next run of the background work finds the
 * key again.
 */
export function withFreeLock(locker: Locker): WithLock {
  return async (key, work) => {
    const lock = await tryAcquire(locker, key)
    if (lock === null) return null
    try {
      return await work(() => lock.isLost === true)
    } finally {
      lock.release()
    }
  }
}

/** Acquires the lock; null if another request holds it. */
async function tryAcquire(locker: Locker, key: string): Promise<Lock | null> {
  try {
    return await locker.acquire(key, UNDISTURBING)
  } catch (error) {
    if (error instanceof UploadError && error.code === 'ERR_LOCKED') return null
    throw error
  }
}
