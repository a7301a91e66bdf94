/** Decides whether a redirection is followed, and which fields the new request has. */

/** Number of redirections in a row that browsers follow. */
export const MAX_REDIRECTIONS = 20

/**
 * The URL that a redirection leads to; null for another answer, and for a URL of another scheme. A 303
 * leads to another resource, whose answer says nothing about a change that was requested
 * (RFC 9110 §15.4.4): for methods that change something it is not followed.
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

/** The fields for the next request: credentials are sent only to the origin they were given for. */
export function fieldsFor(from: string | URL, to: URL, headers: Headers): Headers {
  const fields = new Headers(headers)
  if (to.origin !== new URL(from).origin) {
    for (const name of ['authorization', 'cookie', 'proxy-authorization']) fields.delete(name)
  }
  return fields
}
