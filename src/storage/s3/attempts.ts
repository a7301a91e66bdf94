/** Repeats requests to the object store after passing failures, and translates the failures that remain. */
import { setTimeout as pause } from 'node:timers/promises'
import { UploadError } from '../../errors.ts'
import { BucketError } from './bucket.ts'
import type { BucketErrorKind } from './bucket.ts'

/** Attempts of one request, the first one included. */
export const MAX_ATTEMPTS = 6
/** Longest pause before the second attempt, in milliseconds. It doubles with each further one. */
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
 * Makes an idempotent request, and repeats it up to `MAX_ATTEMPTS` times with backoff while the store does not
 * answer or reports a conflict.
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

/** Waits before attempt number `attempt` + 1, for a random time so that processes do not collide again. */
export async function backOff(attempt: number): Promise<void> {
  await pause(FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + Math.random() / 2))
}

/** Makes the error for the client, without the text of the store. Errors of other kinds are returned unchanged. */
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
