/**
 * Evaluates the preconditions of RFC 9110 §13, as pure functions of the fields and one version. An
 * incomplete resource counts as existing, because GET and HEAD serve it.
 */
import { UploadError } from '../errors.ts'
import { matchesStrongly, matchesWeakly } from '../fields/entity-tag.ts'
import { formatHttpDate, parseHttpDate } from '../fields/http-date.ts'
import { progressMembers, uploadLength } from './resource-state.ts'
import type { RequestHeaders } from './http.ts'
import type { ResourceInfo } from '../storage/adapter.ts'

/**
 * Returns whether a request has a precondition that protects a change of the resource. An
 * `If-Unmodified-Since` that is not one valid date does not count, because it is ignored (RFC 9110
 * §13.1.4).
 */
export function hasWriteCondition(headers: RequestHeaders): boolean {
  return (
    headers.get('if-match') !== null ||
    headers.get('if-none-match') !== null ||
    singleDate(headers, 'if-unmodified-since') !== null
  )
}

/**
 * Evaluates the conditions of a request that changes the resource, in the order of RFC 9110
 * §13.2.2. `info` is the current version; null if the resource does not exist.
 *
 * @throws UploadError `ERR_PRECONDITION` with the entity tag and the progress, which saves the
 * client a HEAD.
 */
export function checkWriteConditions(headers: RequestHeaders, info: ResourceInfo | null): void {
  checkUnchanged(headers, info)
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null && info !== null && matchesAny(ifNoneMatch, info, matchesWeakly)) {
    throw preconditionFailed('If-None-Match', info)
  }
}

/**
 * Evaluates the conditions of GET and HEAD, in the order of RFC 9110 §13.2.2. Returns whether the
 * answer is 304.
 *
 * @throws UploadError `ERR_PRECONDITION` when `If-Match` or `If-Unmodified-Since` is false.
 */
export function isNotModified(headers: RequestHeaders, info: ResourceInfo): boolean {
  checkUnchanged(headers, info)
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null) return matchesAny(ifNoneMatch, info, matchesWeakly)
  const since = singleDate(headers, 'if-modified-since')
  return since !== null && wholeSeconds(info.lastModified) <= wholeSeconds(since)
}

/**
 * Evaluates `If-Range` (RFC 9110 §13.1.5). Returns whether `Range` may be honoured for this
 * version: the client has other bytes of exactly this version and wants the rest.
 *
 * A date counts only if it is a strong validator (§8.8.2.2). It must be at least one second before
 * `now`, because a second version within the same second would have the same date.
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

/** Evaluates `If-Match`; without it `If-Unmodified-Since`. Throws if the condition is false. */
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

/** Whether the field is `*`, which any version matches, or lists the tag of the version. */
function matchesAny(
  field: string,
  info: ResourceInfo,
  matches: (field: string, etag: string) => boolean,
): boolean {
  return field.trim() === '*' || matches(field, info.etag)
}

/**
 * Returns the date of a field; null if it is not exactly one valid date. The field is then ignored
 * (§13.1.4).
 */
function singleDate(headers: RequestHeaders, name: string): Date | null {
  const [value, ...more] = headers.all(name)
  return value === undefined || more.length > 0 ? null : parseHttpDate(value)
}

/** Drops the milliseconds, which HTTP dates can't carry. */
function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

/**
 * Makes the error 412. It has the current entity tag and the progress, so that the client can
 * decide without a HEAD.
 */
function preconditionFailed(field: string, info: ResourceInfo | null): UploadError {
  if (info === null) {
    return new UploadError('ERR_PRECONDITION', {
      detail: `${field} is false, because the resource does not exist`,
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
