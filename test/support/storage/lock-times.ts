/** A locker with times of its own. */
import type { Locker } from 'partial-upload'

/** The time that a newcomer waits, and the time after which it takes over, in milliseconds. */
export interface LockTimes {
  readonly wait: number
  readonly stall: number
}

/**
 * Replaces the times of PATCH and PUT, which `lockTimeout` makes equal. DELETE takes over at once.
 */
export function withTimes(locker: Locker, { wait, stall }: LockTimes): Locker {
  return {
    acquire: (key, given) => locker.acquire(key, { wait, stall: given.stall === 0 ? 0 : stall }),
  }
}
