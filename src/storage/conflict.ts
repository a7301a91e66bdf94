/**
 * The errors for a writer whose resource another writer has changed. All storages throw the same.
 */
import { UploadError } from '../errors.ts'

/**
 * Makes the error for a writer or a reader whose version is not the current one any more, because
 * another writer has changed the resource: 409 `ERR_CONFLICT`. The caller may check the
 * preconditions against the new version and try again.
 */
export function conflict(cause?: unknown): UploadError {
  return new UploadError('ERR_CONFLICT', {
    detail: 'another request has changed the resource since this one began',
    headers: { 'Retry-After': '1' },
    cause,
  })
}

/**
 * Makes the error for a writer whose bytes were visible before another writer changed the resource:
 * `ERR_INTERRUPTED`. A second attempt would not bring these bytes back, so that the client has to
 * ask for the new offset.
 */
export function overtaken(cause?: unknown): UploadError {
  return new UploadError('ERR_INTERRUPTED', {
    detail: 'another request has continued, replaced or removed the resource',
    headers: { 'Retry-After': '1' },
    cause,
  })
}
