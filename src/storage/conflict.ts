/** The errors for a writer that has lost a race, which all storages throw alike. */
import { UploadError } from '../errors.ts'

/** Makes the error for a writer whose `base` is no longer the current version. */
export function conflict(cause?: unknown): UploadError {
  return new UploadError('ERR_CONFLICT', {
    detail: 'the resource was changed while this request was under way',
    headers: { 'Retry-After': '1' },
    cause,
  })
}

/** Makes the error for a writer whose bytes were visible before another writer changed the resource. */
export function overtaken(cause?: unknown): UploadError {
  return new UploadError('ERR_INTERRUPTED', {
    detail: 'another request has continued, replaced or removed the resource',
    headers: { 'Retry-After': '1' },
    cause,
  })
}
