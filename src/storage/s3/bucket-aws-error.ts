/** Sorts the errors of the AWS SDK into the kinds that the storage distinguishes. */

import { BucketError } from './bucket.ts'
import type { BucketErrorKind } from './bucket.ts'

/**
 * The kind of each error whose HTTP status alone would suggest another kind, by the code of the
 * error. All other errors are sorted by their status.
 */
const KINDS: Readonly<Record<string, BucketErrorKind>> = {
  // The SDK found no credentials, so that nothing was sent.
  CredentialsProviderError: 'denied',
  // Ceph answers a quota with 403, MinIO with 400.
  QuotaExceeded: 'full',
  InsufficientCapacity: 'full',
  InsufficientStorage: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  // Amazon S3 answers 400 with these codes when the body has arrived too slowly, in part, or
  // damaged. Another attempt may succeed.
  BadDigest: 'unavailable',
  IncompleteBody: 'unavailable',
  RequestTimeout: 'unavailable',
  XAmzContentSHA256Mismatch: 'unavailable',
  // The client corrects its clock by this answer, so that the next attempt succeeds.
  RequestTimeTooSkewed: 'unavailable',
  NotImplemented: 'unsupported',
}

/** Kinds of all other errors by the status of the answer. */
const STATUSES: Readonly<Record<number, BucketErrorKind>> = {
  401: 'denied',
  403: 'denied',
  404: 'missing',
  409: 'conflict',
  412: 'precondition',
  429: 'unavailable',
  501: 'unsupported',
  507: 'full',
}

/**
 * Sorts an error that a request has thrown. With `isConditional` the request had `If-Match`: Amazon
 * S3 answers it with 404 `NoSuchKey` if the object does not exist, which means that the condition
 * does not hold.
 */
export function bucketErrorOf(error: unknown, isConditional: boolean): BucketError {
  if (error instanceof BucketError) return error
  const { status, code } = traitsOf(error)
  // There was no answer, or a success whose body could not be read to its end.
  if (status === null || status < 300) {
    return new BucketError(KINDS[code] ?? 'unavailable', null, { cause: error })
  }
  const isGone =
    status === 404 && isConditional && code !== 'NoSuchUpload' && code !== 'NoSuchBucket'
  const byStatus = STATUSES[status] ?? (status >= 500 ? 'unavailable' : 'rejected')
  const kind = isGone ? 'precondition' : (KINDS[code] ?? byStatus)
  return new BucketError(kind, code, { cause: error })
}

/**
 * Returns whether the answer was 404 because an object or an upload does not exist. The answer to
 * HEAD has no body and so no code, so that HEAD in a bucket that does not exist also reads as an
 * absent object.
 */
function isAbsent(error: unknown): boolean {
  const { status, code } = traitsOf(error)
  return status === 404 && code !== 'NoSuchBucket'
}

/**
 * Returns null if the error says that the object does not exist, and otherwise throws the error.
 */
export function nullIfAbsent(error: unknown): null {
  if (isAbsent(error)) return null
  throw error
}

/** What an error of the SDK says about the answer. */
interface Traits {
  /** Status of the answer; null if none arrived. */
  readonly status: number | null
  /** The code of S3, which is the name of the SDK's error. */
  readonly code: string
}

function traitsOf(error: unknown): Traits {
  if (!(error instanceof Error)) return { status: null, code: '' }
  const metadata: unknown = Reflect.get(error, '$metadata')
  const status: unknown =
    typeof metadata === 'object' && metadata !== null
      ? Reflect.get(metadata, 'httpStatusCode')
      : undefined
  // A body of another server, for example of a proxy, makes an error without a code in its name.
  const code = error.name === 'Error' ? `HTTP ${String(status)}` : error.name
  return { status: typeof status === 'number' ? status : null, code }
}
