/** The error class of the client, and the problem document that an error carries. */

/**
 * What went wrong.
 *
 * - `ERR_NETWORK`: the connection could not be made, or broke.
 * - `ERR_STALL`: no byte moved for longer than `stallTimeout`, or no answer came in `answerTimeout`.
 * - `ERR_RESPONSE`: the server refused the request, or its answer is not one of this protocol; see
 *   `status` and `problem`.
 * - `ERR_DIFFERENT`: the URL holds other bytes than the source.
 * - `ERR_UNVERIFIED`: the URL holds bytes that the server does not let the client compare.
 * - `ERR_SOURCE`: the source can't be read, has changed, or has another length than it announced.
 */
export type ClientErrorCode =
  'ERR_NETWORK' | 'ERR_STALL' | 'ERR_RESPONSE' | 'ERR_DIFFERENT' | 'ERR_UNVERIFIED' | 'ERR_SOURCE'

/** A problem document (RFC 9457) as the server sent it. Members that are not listed have any type. */
export interface Problem {
  /** Code of the error on the server, such as `ERR_COMPLETE_LENGTH`. */
  readonly code?: string
  /** What the problem type means. */
  readonly title?: string
  /** What the code means, what was found and what was expected. */
  readonly detail?: string
  /** Further members, such as `expected-offset` or `limit`. */
  readonly [member: string]: unknown
}

/** Properties of a `ClientError` other than its code and its message. */
export interface ClientErrorOptions {
  /** The answer of the server. */
  readonly response?: Response
  /** The problem document of the answer. */
  readonly problem?: Problem | null
  /** Whether the same request can succeed later. @default false */
  readonly transient?: boolean
  /** The error that led to this one. */
  readonly cause?: unknown
}

/** The error that a call rejects with. An abort rejects with the reason of the signal instead. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** What went wrong. */
  declare readonly code: ClientErrorCode
  /** HTTP status of the answer; null without an answer. */
  declare readonly status: number | null
  /** Fields of the answer; null without an answer. */
  declare readonly headers: Headers | null
  /** The problem document of the answer; null if it has none. */
  declare readonly problem: Problem | null
  /** Whether the same request can succeed later. The call then failed after all of its `retries`. */
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
