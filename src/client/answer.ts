/**
 * Interprets the status and the fields of answers, which may come from a server of this library,
 * from another server, from a proxy or from a login page.
 */
import { ClientError, type ClientErrorOptions, type Problem } from './error.ts'

/** Whether an answer says that the resource does not exist. */
export function isMissing({ status }: Response): boolean {
  return [404, 410].includes(status)
}

/**
 * Whether an answer is a web page. A login page, a captive portal and a single-page app may answer
 * any request with 200 and a page. Such an answer does not prove that the server has stored
 * anything.
 */
export function isPage({ headers }: Response): boolean {
  return /^text\/html\b/i.test(headers.get('Content-Type') ?? '')
}

/**
 * Returns the entity tag if it is strong, and null otherwise. `If-Match` uses the strong
 * comparison, so that a weak tag would never match (RFC 9110 §13.1.1).
 */
export function strongTag(headers: Headers): string | null {
  return /^".*/.exec(headers.get('ETag') ?? '')?.[0] ?? null
}

/**
 * Returns the strong entity tag of the version that a request has made; null if the answer has
 * none.
 *
 * Also null after a redirection, because the tag may be that of another resource: `fetch` and
 * `XMLHttpRequest` follow a 303 with `GET` (RFC 9110 §15.4.4), and report neither the status nor
 * the method.
 */
export function madeVersion({ redirected, headers }: Response): string | null {
  return redirected ? null : strongTag(headers)
}

/**
 * Whether the answer to the last segment shows that the resource is complete. An app can configure
 * the server's statuses, so that 202 and 299 may mean either. The client then asks with `HEAD`.
 */
export function isFinal(response: Response): boolean {
  return isUnderstood(response) && [200, 201, 204].includes(response.status)
}

/**
 * Whether an answer is a success from a server of this protocol: it has an entity tag and repeats
 * the length of the resource. A success without them may come from a server that has ignored the
 * request.
 */
export function isUnderstood(response: Response): boolean {
  const { ok, headers } = response
  const hasLength = headers.has('Upload-Length')
  return ok && hasLength && madeVersion(response) !== null && !isPage(response)
}

/**
 * Throws unless the answer is a success, and not a web page. A refusal with a status of `retriable`
 * is a transient error.
 *
 * @throws ClientError `ERR_RESPONSE`
 */
export async function expectSuccess(
  method: string,
  response: Response,
  retriable?: readonly number[],
): Promise<void> {
  if (!response.ok) throw await responseError(method, response, retriable)
  if (isPage(response)) throw pageError(method, response)
}

/** Makes the error for an answer. `flaw` is appended to `PATCH was answered with 200`. */
export function answerError(
  method: string,
  response: Response,
  flaw: string,
  options: ClientErrorOptions = {},
): ClientError {
  const message = `${method} was answered with ${response.status}${flaw}`
  return new ClientError('ERR_RESPONSE', message, { response, ...options })
}

/**
 * Makes the error for an answer that is a web page. It is not transient, because a retry gets the
 * same.
 */
export function pageError(method: string, response: Response): ClientError {
  return answerError(method, response, ' and a web page, perhaps a login')
}

/**
 * Makes the error for an answer that is not a success, with its problem document. Consumes the
 * content of the answer. `retriable` lists statuses after which a new `HEAD` can show how to
 * continue, so that the error is transient.
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
  // `HEAD` resolves a 409 only if its reason is a different offset. Others, such as a different
  // complete length, would come again.
  const isRetriable =
    retriable.includes(status) && (status !== 409 || problem?.['expected-offset'] !== undefined)
  const transient = isRetriable || isTransient(response)
  return answerError(method, response, detail ? `: ${detail}` : '', { problem, transient })
}

/** Whether the same request may succeed later, without any change. */
function isTransient({ status, headers }: Response): boolean {
  // With `Retry-After` a server says of any refusal that it is temporary, for example because
  // another writer holds the lock. Without it, a request to a full server (507) must not be
  // repeated without an action of the user (RFC 4918 §11.5).
  const isBusy = [408, 425, 429].includes(status)
  const isFault = status >= 500 && ![501, 505, 507].includes(status)
  return isBusy || isFault || headers.has('Retry-After')
}

/** Whether the server does not support a method, or not this format of its content. */
export function isUnsupported({ status }: ClientError): boolean {
  return status !== null && [405, 415, 501].includes(status)
}

/**
 * Whether a value is a JSON object. No member of a problem document is mandatory (RFC 9457 §3.1).
 */
function isProblem(value: unknown): value is Problem {
  return value instanceof Object && !Array.isArray(value)
}
