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
  /** What the code means. */
  readonly title?: string
  /** What was found and what was expected. */
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
  readonly code: ClientErrorCode
  /** HTTP status of the answer; null if there was none. */
  readonly status: number | null
  /** Fields of the answer; null if there was none. */
  readonly headers: Headers | null
  /** The problem document of the answer; null if it had none. */
  readonly problem: Problem | null
  /** Whether the same call can succeed later: a person may be offered to try again. */
  readonly transient: boolean

  constructor(code: ClientErrorCode, message: string, options: ClientErrorOptions = {}) {
    const { response, problem = null, transient = false, cause } = options
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = response?.status ?? null
    this.headers = response?.headers ?? null
    this.problem = problem
    this.transient = transient
  }
}

/** Whether an answer says that the same request can succeed later. */
export function isTransient({ status, headers }: Response): boolean {
  if ([408, 425, 429].includes(status)) return true
  // The holder of a lock says when it may be free; other conflicts do not pass by waiting.
  if ([409, 423].includes(status)) return headers.has('retry-after')
  return status >= 500 && status !== 501 && status !== 505
}

/** Makes the error for an answer that is not what was hoped for. Reads the answer's content. */
export async function responseError(
  method: string,
  response: Response,
  transient: boolean = isTransient(response),
): Promise<ClientError> {
  const problem = parseProblem(await response.text())
  const words = [problem?.title, problem?.detail].filter((text) => typeof text === 'string')
  const message = [`${method} was answered with ${response.status}`, ...words].join(': ')
  return new ClientError('ERR_RESPONSE', message, { response, problem, transient })
}

function parseProblem(text: string): Problem | null {
  try {
    const value: unknown = JSON.parse(text)
    return isProblem(value) ? value : null
  } catch {
    return null
  }
}

/** Holds for any JSON object, since no member of a problem document is mandatory. */
function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
