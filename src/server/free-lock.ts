/** Locks for work in the background, which must not delay requests. */
import { UploadError } from '../errors.ts'
import type { WithLock } from '../storage/adapter.ts'
import type { Lock, Locker } from '../storage/lock.ts'

/** Don't wait for the lock, and never take it over. */
const UNDISTURBING = { wait: 0, stall: Number.MAX_SAFE_INTEGER }

/**
 * Returns a function that runs work with the lock of a key. If a request has the lock, the work is not run and
 * the result is null, because the request matters more and the next run of the background finds the key again.
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
