/** The conditional requests of RFC 9110 §13, as pure functions of the fields and one version. */
import { UploadError } from '../errors.ts'
import { matchesStrongly, matchesWeakly } from '../fields/entity-tag.ts'
import { formatHttpDate, parseHttpDate } from '../fields/http-date.ts'
import { progressMembers, uploadLength } from './resource-state.ts'
import type { RequestHeaders } from './http.ts'
import type { ResourceInfo } from '../storage/adapter.ts'

const WRITE_CONDITIONS = ['if-match', 'if-unmodified-since', 'if-none-match']

/** Whether a request to change something says on what condition. */
export function hasWriteCondition(headers: RequestHeaders): boolean {
  return WRITE_CONDITIONS.some((name) => headers.get(name) !== null)
}

/**
 * Evaluates the conditions of a request that changes the resource (RFC 9110 §13.2.2).
 *
 * @throws UploadError `ERR_PRECONDITION` with the entity tag and the progress, so that a client can resume.
 */
export function checkWriteConditions(headers: RequestHeaders, info: ResourceInfo | null): void {
  checkUnchanged(headers, info)
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null && info !== null && matchesAny(ifNoneMatch, info, matchesWeakly)) {
    throw preconditionFailed('If-None-Match', info)
  }
}

/**
 * Evaluates the conditions of GET and HEAD (RFC 9110 §13.2.2).
 *
 * @throws UploadError `ERR_PRECONDITION`
 */
export function isNotModified(headers: RequestHeaders, info: ResourceInfo): boolean {
  checkUnchanged(headers, info)
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null) return matchesAny(ifNoneMatch, info, matchesWeakly)
  const since = singleDate(headers, 'if-modified-since')
  return since !== null && wholeSeconds(info.lastModified) <= wholeSeconds(since)
}

/**
 * Evaluates `If-Range` (RFC 9110 §13.1.5): whether `Range` may be honoured for this version.
 *
 * A date counts only where it is a strong validator: at least a second older than now (§8.8.2.2).
 */
export function allowsRange(headers: RequestHeaders, info: ResourceInfo, now: Date): boolean {
  const [ifRange, ...more] = headers.all('if-range')
  if (ifRange === undefined) return true
  if (more.length > 0) return false
  if (/^(W\/)?"/.test(ifRange)) return ifRange === info.etag
  const date = parseHttpDate(ifRange)
  return (
    date !== null &&
    wholeSeconds(date) === wholeSeconds(info.lastModified) &&
    wholeSeconds(date) < wholeSeconds(now)
  )
}

/** `If-Match`, else `If-Unmodified-Since`. */
function checkUnchanged(headers: RequestHeaders, info: ResourceInfo | null): void {
  const ifMatch = headers.get('if-match')
  if (ifMatch !== null) {
    if (info === null || !matchesAny(ifMatch, info, matchesStrongly)) {
      throw preconditionFailed('If-Match', info)
    }
    return
  }
  const since = singleDate(headers, 'if-unmodified-since')
  if (since !== null && info !== null && wholeSeconds(info.lastModified) > wholeSeconds(since)) {
    throw preconditionFailed('If-Unmodified-Since', info)
  }
}

function matchesAny(
  field: string,
  info: ResourceInfo,
  matches: (field: string, etag: string) => boolean,
): boolean {
  return field.trim() === '*' || matches(field, info.etag)
}

/** The date of a field, null if it is not one valid date: then the field is ignored (§13.1.4). */
function singleDate(headers: RequestHeaders, name: string): Date | null {
  const [value, ...more] = headers.all(name)
  return value === undefined || more.length > 0 ? null : parseHttpDate(value)
}

/** HTTP dates know no milliseconds. */
function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

function preconditionFailed(field: string, info: ResourceInfo | null): UploadError {
  if (info === null) {
    return new UploadError('ERR_PRECONDITION', {
      detail: `${field} is false: there is no resource`,
      members: { ...progressMembers(null) },
    })
  }
  const { etag, lastModified } = info
  return new UploadError('ERR_PRECONDITION', {
    detail: `${field} is false for the current version`,
    headers: { ETag: etag, 'Last-Modified': formatHttpDate(lastModified), ...uploadLength(info) },
    members: { ...progressMembers(info) },
  })
}
