/**
 * Repeats requests to the object store after temporary failures, and translates the failures that
 * remain.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { UploadError } from '../../errors.ts'
import { BucketError } from './bucket.ts'
import type { BucketErrorKind } from './bucket.ts'

/** Number of attempts of one request, the first one included. */
export const MAX_ATTEMPTS = 6
/**
 * Longest pause before the second attempt, in milliseconds. It doubles with each further attempt.
 */
const FIRST_PAUSE = 50

/** Kinds of failures after which another attempt may succeed. */
const PASSING: readonly BucketErrorKind[] = ['unavailable', 'conflict']

/** Returns whether an error is a failed request of one of these kinds. */
export function isBucketError(
  error: unknown,
  ...kinds: readonly BucketErrorKind[]
): error is BucketError {
  return error instanceof BucketError && kinds.includes(error.kind)
}

/**
 * Makes an idempotent request, and repeats it up to `MAX_ATTEMPTS` times with backoff while the
 * store does not answer or reports a conflict.
 *
 * @throws UploadError `ERR_STORAGE_FULL` or `ERR_STORAGE_UNAVAILABLE`
 * @throws BucketError for any other failure.
 */
export async function repeat<T>(request: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request()
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !isBucketError(error, ...PASSING)) throw translated(error)
      await backOff(attempt)
    }
  }
}

/**
 * Waits before the attempt number `attempt` + 1. The time is random, so that two processes that
 * have collided do not collide again.
 */
export async function backOff(attempt: number): Promise<void> {
  await pause(FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + Math.random() / 2))
}

/**
 * Returns the error for the client, without the text of the store, which may name the bucket.
 * Errors of other kinds are returned unchanged, and are answered by 500.
 */
export function translated(error: unknown): unknown {
  if (isBucketError(error, 'full')) {
    return new UploadError('ERR_STORAGE_FULL', { detail: 'the object store is full', cause: error })
  }
  if (isBucketError(error, 'unavailable', 'conflict')) return unavailable(error)
  return error
}

/** Makes the error for a store that does not answer. */
function unavailable(cause: unknown): UploadError {
  return new UploadError('ERR_STORAGE_UNAVAILABLE', {
    detail: 'the object store did not answer in time; retry shortly',
    headers: { 'Retry-After': '5' },
    cause,
  })
}
