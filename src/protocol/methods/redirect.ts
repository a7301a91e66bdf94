/** Redirects a GET to the object store, so that the bytes do not pass through this server. */
import type { Reader } from '../../storage/adapter.ts'
import type { HandlerRequest, HandlerResponse } from '../http.ts'
import type { VersionContent } from './version-content.ts'

/**
 * Fields of a GET that only this server can answer. A client repeats them at the store, which has
 * other validators and computes no digests.
 */
const OWN_FIELDS = ['if-match', 'if-unmodified-since', 'if-range', 'want-repr-digest']

/**
 * Returns the URL at the store to which the client is redirected; null if this server sends the
 * content. The preconditions were checked before, and the range of the request lies within the
 * version.
 */
export async function redirectFor(
  { headers }: HandlerRequest,
  reader: Reader,
  { framing }: VersionContent,
  contentType: string,
): Promise<string | null> {
  // An object store does not answer several ranges.
  if (reader.url === undefined || !reader.info.complete || framing !== undefined) return null
  if (OWN_FIELDS.some((name) => headers.get(name) !== null)) return null
  return reader.url(contentType)
}

/**
 * Makes the answer 307 (RFC 9110 §15.4.8). It is not stored, because the URL is secret and expires.
 */
export function redirectTo(location: string): HandlerResponse {
  return {
    status: 307,
    headers: { Location: location, 'Cache-Control': 'no-store', 'Content-Length': '0' },
  }
}
