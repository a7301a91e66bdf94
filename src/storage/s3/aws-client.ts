/** Derives the client that the storage uses from the client of the app. */
import type { S3Client } from '@aws-sdk/client-s3'

/** The scope of each bucket, by the client of the app. */
const scopes = new WeakMap<S3Client, Map<string, object>>()

/**
 * Returns a client that makes one attempt for each request, because a retry inside the client would
 * hide that the first attempt may have taken effect. It also sends no checksums that older stores
 * refuse. The app's own client and its settings stay as they are.
 */
export function singleAttempts(client: S3Client): S3Client {
  const middlewareStack = client.middlewareStack.clone()
  middlewareStack.add((next) => next, {
    name: 'retryMiddleware',
    step: 'finalizeRequest',
    priority: 'high',
    override: true,
  })
  const config = {
    ...client.config,
    requestChecksumCalculation: () => Promise.resolve('WHEN_REQUIRED'),
    responseChecksumValidation: () => Promise.resolve('WHEN_REQUIRED'),
  }
  const own: unknown = Object.create(client, {
    middlewareStack: { value: middlewareStack },
    config: { value: config },
  })
  if (!isLike(own, client)) throw new TypeError('client must be an S3Client of @aws-sdk/client-s3')
  return own
}

function isLike<T extends object>(value: unknown, model: T): value is T {
  return Object.prototype.isPrototypeOf.call(model, Object(value))
}

/** Returns the same object for each use of a bucket through the same client. */
export function scopeOf(client: S3Client, bucket: string): object {
  const known = scopes.get(client) ?? new Map<string, object>()
  scopes.set(client, known)
  const scope = known.get(bucket) ?? {}
  known.set(bucket, scope)
  return scope
}
