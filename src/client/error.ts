/** The one error of the client, and the problem document that it carries. */

/**
 * What went wrong.
 *
 * - `ERR_NETWORK`: the connection could not be made, or broke.
 * - `ERR_STALL`: no byte moved for too long.
 * - `ERR_RESPONSE`: the server refused, or its answer makes no sense; `status` and `problem` tell.
 * - `ERR_DIFFERENT`: the URL holds something else than the source.
 * - `ERR_UNVERIFIED`: the URL holds something, and the server does not let the client compare it.
 * - `ERR_SOURCE`: the source can't be read, is shorter than it said, or has changed.
 */
export type ClientErrorCode =
  'ERR_NETWORK' | 'ERR_STALL' | 'ERR_RESPONSE' | 'ERR_DIFFERENT' | 'ERR_UNVERIFIED' | 'ERR_SOURCE'

/** A problem document (RFC 9457), as the server sent it: of unknown members nothing is known. */
export interface Problem {
  /** A row of the server's table, such as `ERR_COMPLETE_LENGTH`. */
  readonly code?: string
  /** What the problem type means. */
  readonly title?: string
  /** What the code means, what was found and what was expected. */
  readonly detail?: string
  /** Further members, `expected-offset` or `limit` for example. */
  readonly [member: string]: unknown
}

/** What a `ClientError` carries besides its code. */
export interface ClientErrorOptions {
  /** The answer that was refused with. */
  readonly response?: Response
  /** The problem document of the answer. */
  readonly problem?: Problem | null
  /** Whether the same request can succeed later. */
  readonly transient?: boolean
  /** The error that led to this one. */
  readonly cause?: unknown
}

/** Why an upload, a patch or a question failed for good. An abort rejects with the signal's reason instead. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** What went wrong. */
  declare readonly code: ClientErrorCode
  /** HTTP status of the answer; null if there was none. */
  declare readonly status: number | null
  /** Fields of the answer; null if there was none. */
  declare readonly headers: Headers | null
  /** The problem document of the answer; null if it had none. */
  declare readonly problem: Problem | null
  /** Whether waiting alone can help: then the call was tried again, as often as `retries` allows. */
  declare readonly transient: boolean

  constructor(code: ClientErrorCode, message: string, options: ClientErrorOptions = {}) {
    const { response, problem = null, transient = false } = options
    super(message, options)
    this.code = code
    this.status = response?.status ?? null
    this.headers = response?.headers ?? null
    this.problem = problem
    this.transient = transient
  }
}

/** Whether an answer says that the same request can succeed later. */
function isTransient({ status, headers }: Response): boolean {
  // The holder of a lock says when it may be free; other conflicts do not pass by waiting. Nor does a
  // server that is full: it is not to be asked again until a person wants it (RFC 4918 §11.5).
  if ([409, 423, 507].includes(status)) return headers.has('Retry-After')
  return [408, 425, 429].includes(status) || (status >= 500 && ![501, 505].includes(status))
}

/**
 * Makes the error for an answer that is not what was hoped for. Reads the answer's content. `passing`
 * holds further statuses that another look at the resource can overcome.
 */
export async function responseError(
  method: string,
  response: Response,
  passing: readonly number[] = [],
): Promise<ClientError> {
  const { status } = response
  const content: unknown = await response.json().catch(() => null)
  const problem = isProblem(content) ? content : null
  const words = [`${method} was answered with ${status}`, problem?.detail ?? problem?.title]
  const message = words.filter(Boolean).join(': ')
  // A 409 passes if the server only stands elsewhere.
  const isPassing =
    passing.includes(status) && (status !== 409 || problem?.['expected-offset'] !== undefined)
  const transient = isPassing || isTransient(response)
  return new ClientError('ERR_RESPONSE', message, { response, problem, transient })
}

/** Holds for any JSON object, since no member of a problem document is mandatory. */
function isProblem(value: unknown): value is Problem {
  return value instanceof Object && !Array.isArray(value)
}
