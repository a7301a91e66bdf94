/** Makes the answers to writes, and the fields that several methods share. */
import { formatHttpDate } from '../../fields/http-date.ts'
import type { Outcome } from '../completion.ts'
import type { PreparedResponse } from '../app-response.ts'
import type { HandlerResponse } from '../http.ts'
import { progressMembers, uploadLength } from '../resource-state.ts'
import type { Settings } from '../../settings.ts'
import type { ResourceInfo, Transaction } from '../../storage/adapter.ts'

/** Response fields by their name, in the usual spelling. */
export type Fields = Readonly<Record<string, string>>

/** Returns the fields that identify a version (RFC 9110 §8.8), in an object of the caller's own. */
export function validators(info: ResourceInfo): Record<string, string> {
  return { ETag: info.etag, 'Last-Modified': formatHttpDate(info.lastModified) }
}

/**
 * Returns the `Upload-Limit` of "Resumable Uploads for HTTP": the seconds until an incomplete
 * resource is removed. No field if `expireAfter`, in milliseconds, is 0, because the resource then
 * never expires.
 */
export function expiryFields({ lastModified }: ResourceInfo, expireAfter: number): Fields {
  if (expireAfter === 0) return {}
  const left = lastModified.getTime() + expireAfter - Date.now()
  return { 'Upload-Limit': `max-age=${Math.max(0, Math.floor(left / 1000))}` }
}

/**
 * Makes the answer to a committed write: the progress if the resource is incomplete, otherwise the
 * final response, which the app may have set in `onComplete`. `applied` is the transaction for
 * `Preference-Applied`; null for no such field.
 */
export function writeResponse(
  outcome: Outcome,
  settings: Settings,
  applied: Transaction | null,
): HandlerResponse {
  const { info, created, final } = outcome
  const fields = validators(info)
  if (applied !== null) fields['Preference-Applied'] = `transaction=${applied}`
  if (!info.complete) {
    const { segmentStatus, expireAfter } = settings
    Object.assign(fields, expiryFields(info, expireAfter), uploadLength(info))
    fields['Cache-Control'] = 'no-store'
    return withProgress(segmentStatus, fields, info)
  }
  const status = created ? settings.createdStatus : settings.modifiedStatus
  // `Upload-Length` proves to the client that this server has applied the patch. Any other server
  // may answer 2xx as well, and for example store the patch document itself.
  fields['Upload-Length'] = String(info.size)
  if (final !== null) return customResponse(status, fields, final)
  if (status === 200) return withProgress(status, fields, info)
  return status === 204 ? { status, headers: fields } : { status, headers: fields, body: '' }
}

/**
 * Returns the transaction for `Preference-Applied`; null if the client asked for none, or for
 * another one than was done. The field may only name a preference that was honoured (RFC 7240 §3).
 */
export function appliedTransaction(
  preferred: Transaction | null,
  done: Transaction,
): Transaction | null {
  return preferred === done ? done : null
}

/** Makes an answer with the progress as JSON. 204 has no content (RFC 9110 §15.3.5). */
function withProgress(status: number, fields: Fields, info: ResourceInfo): HandlerResponse {
  if (status === 204) return { status, headers: fields }
  return json(status, fields, progressMembers(info))
}

/** Makes the answer that the app has returned. Its fields replace those of the same name. */
function customResponse(usual: number, fields: Fields, final: PreparedResponse): HandlerResponse {
  const { body } = final
  const status = final.status ?? (body !== undefined && usual === 204 ? 200 : usual)
  const headers = { ...fields, ...final.headers }
  return status === 204 ? { status, headers } : { status, headers, body: body ?? '' }
}

/** Makes an answer with a JSON document. A `Content-Type` in `fields` replaces the usual one. */
function json(status: number, fields: Fields, value: object): HandlerResponse {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...fields },
    body: JSON.stringify(value),
  }
}
