/** Responses that several methods share. */
import { formatHttpDate } from '../../fields/http-date.ts'
import type { Outcome } from '../completion.ts'
import type { PreparedResponse } from '../final-response.ts'
import type { HandlerResponse } from '../http.ts'
import { progressMembers, uploadLength } from '../resource-state.ts'
import type { Settings } from '../../settings.ts'
import type { ResourceInfo, Transaction } from '../../storage/adapter.ts'

/** Fields by name. */
export type Fields = Readonly<Record<string, string>>

/** The fields that identify a version (RFC 9110 §8.8). */
export function validators(info: ResourceInfo): Fields {
  return { ETag: info.etag, 'Last-Modified': formatHttpDate(info.lastModified) }
}

/**
 * When an incomplete resource is removed, in seconds from now: the `Upload-Limit` of "Resumable Uploads
 * for HTTP". Nothing if it stays.
 */
export function expiryFields({ lastModified }: ResourceInfo, expireAfter: number): Fields {
  if (expireAfter === 0) return {}
  const left = lastModified.getTime() + expireAfter - Date.now()
  return { 'Upload-Limit': `max-age=${Math.max(0, Math.floor(left / 1000))}` }
}

/** The answer to a write that was committed: more to come, or the final response. */
export function writeResponse(
  outcome: Outcome,
  settings: Settings,
  applied: Transaction | null,
): HandlerResponse {
  const { info, created, final } = outcome
  const fields = {
    ...validators(info),
    ...(applied === null ? {} : { 'Preference-Applied': `transaction=${applied}` }),
  }
  if (!info.complete) {
    const { segmentStatus, expireAfter } = settings
    const expiry = expiryFields(info, expireAfter)
    const more = { ...expiry, ...uploadLength(info), 'Cache-Control': 'no-store' }
    return withProgress(segmentStatus, { ...fields, ...more }, info)
  }
  const status = created ? settings.createdStatus : settings.modifiedStatus
  // Shows a client that this server understood the request: others answer 2xx to an unknown PATCH.
  const headers = { ...fields, 'Upload-Length': String(info.size) }
  if (final !== null) return customResponse(status, headers, final)
  return status === 200
    ? withProgress(status, headers, info)
    : { status, headers, ...(status === 204 ? {} : { body: '' }) }
}

/** `Preference-Applied` names a preference only if it is what was done (RFC 7240 §3). */
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
