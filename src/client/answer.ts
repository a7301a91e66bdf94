/** Interprets the status and fields of the server's answers. No other module does. */
import { ClientError, type ClientErrorOptions, type Problem } from './error.ts'

/** Whether an answer says that the resource does not exist. */
export function isMissing({ status }: Response): boolean {
  return [404, 410].includes(status)
}

/** Whether an answer is a web page: a login, a portal, or an app that answers every URL with one. */
export function isPage({ headers }: Response): boolean {
  return /^text\/html\b/i.test(headers.get('Content-Type') ?? '')
}

/** The entity tag that `If-Match` can match: a weak one never does (RFC 9110 §13.1.1). */
export function strongTag(headers: Headers): string | null {
  return /^".*/.exec(headers.get('ETag') ?? '')?.[0] ?? null
}

/**
 * The strong entity tag of the version that a request has made; null if the answer has none. After a
 * redirection it may be the tag of another resource, because `fetch` and `XMLHttpRequest` follow a 303
 * with `GET` (RFC 9110 §15.4.4) and report neither the status nor the method.
 */
export function madeVersion({ redirected, headers }: Response): string | null {
  return redirected ? null : strongTag(headers)
}

/**
 * Whether an answer is the final one of a server of this protocol. 202 and 299 do not say that the
 * resource is complete, although an app can configure them for that.
 */
export function isFinal(response: Response): boolean {
  const { status } = response
  return isUnderstood(response) && status !== 202 && status < 209
}

/** Whether a success comes from a server of this protocol, which repeats the length of the resource. */
export function isUnderstood(response: Response): boolean {
  const { ok, headers } = response
  return ok && madeVersion(response) !== null && headers.has('Upload-Length') && !isPage(response)
}

/**
 * Throws unless a request was successful, and its answer is not a web page.
 *
 * @throws ClientError
 */
export async function expectSuccess(
  method: string,
  response: Response,
  retriable: readonly number[] = [],
): Promise<void> {
  if (!response.ok) throw await responseError(method, response, retriable)
  if (isPage(response)) throw pageError(method, response)
}

/** Makes the error for an answer with a flaw, which is described by the rest of the message. */
export function answerError(
  method: string,
  response: Response,
  flaw: string,
  options: ClientErrorOptions = {},
): ClientError {
  const message = `${method} was answered with ${response.status}${flaw}`
  return new ClientError('ERR_RESPONSE', message, { response, ...options })
}

/** Makes the error for a web page in place of an answer. */
export function pageError(method: string, response: Response): ClientError {
  return answerError(method, response, ' and a web page, perhaps a login')
}

/**
 * Makes the error for an answer that is not a success. Reads the content of the answer. `retriable` holds
 * further statuses that a new `HEAD` can overcome.
 */
export async function responseError(
  method: string,
  response: Response,
  retriable: readonly number[] = [],
): Promise<ClientError> {
  const { status } = response
  const content: unknown = await response.json().catch(() => null)
  const problem = isProblem(content) ? content : null
  const detail = problem?.detail ?? problem?.title
  // A 409 is overcome only where the server has another offset than the client expected.
  const isRetriable =
    retriable.includes(status) && (status !== 409 || problem?.['expected-offset'] !== undefined)
  const transient = isRetriable || isTransient(response)
  return answerError(method, response, detail ? `: ${detail}` : '', { problem, transient })
}

/** Whether the same request can succeed later. */
function isTransient({ status, headers }: Response): boolean {
  // The server says by `Retry-After` when a lock may be free; other conflicts do not end by waiting. A
  // full server is not asked again until a person wants it (RFC 4918 §11.5).
  if ([409, 423, 507].includes(status)) return headers.has('Retry-After')
  return [408, 425, 429].includes(status) || (status >= 500 && ![501, 505].includes(status))
}

/** Holds for any JSON object, since no member of a problem document is mandatory. */
function isProblem(value: unknown): value is Problem {
  return value instanceof Object && !Array.isArray(value)
}
