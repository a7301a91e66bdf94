/** The error class of the client, and the problem document that an error carries. */

/**
 * The kind of a failure, for programs.
 *
 * - `ERR_NETWORK`: the client could not connect to the server, or the connection broke.
 * - `ERR_STALL`: no byte moved for longer than `stallTimeout`, or the answer to the content took
 *   longer than `answerTimeout`.
 * - `ERR_RESPONSE`: the server refused the request, or a web page or another answer came that a
 *   server of this protocol does not send. `status` and `problem` have the details.
 * - `ERR_DIFFERENT`: the resource at the URL has other bytes than the source.
 * - `ERR_UNVERIFIED`: the resource at the URL may have other bytes than the source, and the server
 *   does not let the client compare them.
 * - `ERR_SOURCE`: the source can't be read, was changed during the call, or yields more or fewer
 *   bytes than its size.
 */
export type ClientErrorCode =
  'ERR_NETWORK' | 'ERR_STALL' | 'ERR_RESPONSE' | 'ERR_DIFFERENT' | 'ERR_UNVERIFIED' | 'ERR_SOURCE'

/**
 * A problem document (RFC 9457) as the server sent it. The client does not check the types of its
 * members, because the answer may come from another server or from a proxy.
 */
export interface Problem {
  /** Code of the error on the server, such as `ERR_COMPLETE_LENGTH`. */
  readonly code?: string
  /** Short description of the problem type (RFC 9457 §3.1.3), such as `Conflict`. */
  readonly title?: string
  /** What the server found and what it expected, in a sentence for people. */
  readonly detail?: string
  /** Further members, such as `expected-offset` or `limit`, in bytes. */
  readonly [member: string]: unknown
}

/** Properties of a `ClientError` other than its code and its message. */
export interface ClientErrorOptions {
  /** The answer of the server, if one came. */
  readonly response?: Response
  /** The problem document of that answer. */
  readonly problem?: Problem | null
  /**
   * Whether the same request may succeed later.
   *
   * @default false
   */
  readonly transient?: boolean
  /** The error that led to this one. */
  readonly cause?: unknown
}

/**
 * The error that a call rejects with after a failure. A call that was aborted rejects with the
 * reason of the signal instead, and a call whose callback threw rejects with the error of the
 * callback.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  /** The kind of the failure. */
  declare readonly code: ClientErrorCode
  /** HTTP status of the answer; null if no answer came. */
  declare readonly status: number | null
  /** Header fields of the answer; null if no answer came. */
  declare readonly headers: Headers | null
  /** The problem document of the answer; null if it has none, as every answer to `HEAD`. */
  declare readonly problem: Problem | null
  /**
   * Whether the same request may succeed later, as after a broken connection or a 503. If a call
   * rejects with such an error, it has used up its `retries`, or `shouldRetry` has returned false.
   */
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
