/**
 * Redirections for the transport over `node:http`, which does not follow them by itself. Decides
 * whether a redirection is followed, and which fields the new request has.
 */

/** Largest number of redirections in a row that are followed, as browsers do. */
export const MAX_REDIRECTIONS = 20

/**
 * Returns the URL that a redirection leads to. Null if the answer is not a redirection to follow,
 * or if its URL is invalid or has another scheme than HTTP.
 *
 * A 303 to a request that changes something is not followed. It leads to another resource, and the
 * answer of that resource says nothing about the change (RFC 9110 §15.4.4).
 */
export function redirectionOf(
  method: string,
  from: string | URL,
  { status, headers }: Response,
): URL | null {
  const location = headers.get('location') ?? ''
  const isSafe = method === 'GET' || method === 'HEAD'
  const isFollowed = [301, 302, 307, 308].includes(status) || (status === 303 && isSafe)
  if (!isFollowed || location === '' || !URL.canParse(location, String(from))) return null
  const url = new URL(location, from)
  return ['http:', 'https:'].includes(url.protocol) ? url : null
}

/**
 * Returns the fields for the next request. To another origin the fields with credentials are
 * removed, so that a redirection can't send a token to a server that it was not issued for.
 */
export function fieldsFor(from: string | URL, to: URL, headers: Headers): Headers {
  const fields = new Headers(headers)
  if (to.origin !== new URL(from).origin) {
    for (const name of ['authorization', 'cookie', 'proxy-authorization']) fields.delete(name)
  }
  return fields
}
