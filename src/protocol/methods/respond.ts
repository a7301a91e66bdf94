/** Makes the responses and fields that several methods share. */
import { formatHttpDate } from '../../fields/http-date.ts'
import type { Outcome } from '../completion.ts'
import type { PreparedResponse } from '../final-response.ts'
import type { HandlerResponse } from '../http.ts'
import { progressMembers, uploadLength } from '../resource-state.ts'
import type { Settings } from '../../settings.ts'
import type { ResourceInfo, Transaction } from '../../storage/adapter.ts'

/** Fields by name. */
export type Fields = Readonly<Record<string, string>>

/** Returns the fields that identify a version (RFC 9110 §8.8), in an object of the caller's own. */
export function validators(info: ResourceInfo): Record<string, string> {
  return { ETag: info.etag, 'Last-Modified': formatHttpDate(info.lastModified) }
}

/**
 * Returns the `Upload-Limit` of "Resumable Uploads for HTTP": the seconds until an incomplete resource is removed.
 * No field if `expireAfter`, in milliseconds, is 0, because the resource then never expires.
 */
export function expiryFields({ lastModified }: ResourceInfo, expireAfter: number): Fields {
  if (expireAfter === 0) return {}
  const left = lastModified.getTime() + expireAfter - Date.now()
  return { 'Upload-Limit': `max-age=${Math.max(0, Math.floor(left / 1000))}` }
}

/** Makes the answer to a committed write: the progress of an upload, or the final response. */
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
  // `Upload-Length` shows the client that this server has applied the patch. A server that does not know the format
  // may answer 2xx too.
  fields['Upload-Length'] = String(info.size)
  if (final !== null) return customResponse(status, fields, final)
  if (status === 200) return withProgress(status, fields, info)
  return status === 204 ? { status, headers: fields } : { status, headers: fields, body: '' }
}

/** Returns the value of `Preference-Applied`, which names only a preference that was honoured (RFC 7240 §3). */
export function appliedTransaction(
  preferred: Transaction | null,
  done: Transaction,
): Transaction | null {
  return preferred === done ? done : null
}

function withProgress(status: number, fields: Fields, info: ResourceInfo): HandlerResponse {
  if (status === 204) return { status, headers: fields }
  return json(status, fields, progressMembers(info))
}

function customResponse(usual: number, fields: Fields, final: PreparedResponse): HandlerResponse {
  const { body } = final
  const status = final.status ?? (body !== undefined && usual === 204 ? 200 : usual)
  const headers = { ...fields, ...final.headers }
  return status === 204 ? { status, headers } : { status, headers, body: body ?? '' }
}

function json(status: number, fields: Fields, value: object): HandlerResponse {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...fields },
    body: JSON.stringify(value),
  }
}
