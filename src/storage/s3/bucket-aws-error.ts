/** Sorts the errors of the AWS SDK into the kinds that the storage distinguishes. */

import { BucketError } from './bucket.ts'
import type { BucketErrorKind } from './bucket.ts'

/** Codes whose status would say something else. All other errors are sorted by their status. */
const KINDS: Readonly<Record<string, BucketErrorKind>> = {
  // The SDK found no credentials, so that nothing was sent.
  CredentialsProviderError: 'denied',
  // Ceph answers a quota with 403, MinIO with 400.
  QuotaExceeded: 'full',
  InsufficientCapacity: 'full',
  InsufficientStorage: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  // 400 of Amazon S3 when the body arrived too slowly, not whole, or damaged: another attempt helps.
  BadDigest: 'unavailable',
  IncompleteBody: 'unavailable',
  RequestTimeout: 'unavailable',
  XAmzContentSHA256Mismatch: 'unavailable',
  // The client corrects its clock by the answer, so that the next attempt succeeds.
  RequestTimeTooSkewed: 'unavailable',
  NotImplemented: 'unsupported',
}

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
 * Sorts what a request has thrown. With `isConditional` the request had `If-Match`, and Amazon S3 answers that
 * with 404 `NoSuchKey` when the object does not exist.
 */
export function bucketErrorOf(error: unknown, isConditional: boolean): BucketError {
  if (error instanceof BucketError) return error
  const { status, code } = traitsOf(error)
  // No answer, or a success that could not be read to its end.
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
 * Whether the answer was 404 for an object or an upload. The answer to HEAD has no code, so that a bucket that
 * does not exist reads as empty there.
 */
export function isAbsent(error: unknown): boolean {
  const { status, code } = traitsOf(error)
  return status === 404 && code !== 'NoSuchBucket'
}

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
  // A body that is not S3's, for example of a proxy, makes an error without a name of its own.
  const code = error.name === 'Error' ? `HTTP ${String(status)}` : error.name
  return { status: typeof status === 'number' ? status : null, code }
}
