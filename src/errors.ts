/**
 * The errors that a client caused, and the table of their codes.
 *
 * The handler answers an `UploadError` as `application/problem+json` (RFC 9457). Every other error
 * is the server's own and goes to Express's `next(error)` untouched.
 */

/** What an error does to the bytes that the request has stored so far. */
export type Effect =
  /**
   * The content ended early: by a timeout, a takeover or a stop of the server. The bytes so far are as the client
   * sent them, so a persist write keeps them, and the client resumes.
   */
  | 'cut'
  /**
   * The content has not the length that was announced, so that it is unknown which bytes are right. The resource
   * gets the size back that it had before.
   */
  | 'undo'
  /** The bytes as a whole are wrong, or the app does not want them: `finishWrite` removes the upload. */
  | 'reject'

/**
 * A problem type that an Internet-Draft adds to the IANA registry: draft-ietf-httpapi-digest-fields-problem-types
 * for the digests, draft-ietf-httpbis-resumable-upload for the offset. Clients compare the type as a string.
 */
interface ProblemType {
  readonly type: string
  readonly title: string
}

/** What distinguishes an error. */
interface Traits {
  /** Without it a persist write keeps what it has stored, as after a cut. */
  readonly effect?: Effect
  /** The answer has the members `received` and `length`, from which a client can resume. */
  readonly progress?: boolean
  /** Without it the type is `about:blank`, and the title is the phrase of the status. */
  readonly problem?: ProblemType
}

const REGISTRY = 'https://iana.org/assignments/http-problem-types'
const DIGEST = {
  type: `${REGISTRY}#digest-mismatched-values`,
  title: 'Mismatched Digest Values',
}
const OFFSET = {
  type: `${REGISTRY}#mismatching-upload-offset`,
  title: 'Mismatching Upload Offset',
}

/**
 * Code → status, meaning, and what else distinguishes it. The documentation shows this table, and a test
 * holds the two together. The meaning begins the `detail` of a problem document.
 */
export const ERRORS = {
  ERR_KEY: [400, 'The URL does not name a resource'],
  ERR_FIELD: [400, 'A request field is malformed'],
  ERR_SYNTAX: [400, 'The patch document is malformed'],
  ERR_RANGE: [400, 'The byte range is malformed'],
  ERR_LENGTH: [
    400,
    'The data does not have the length of its range',
    { effect: 'undo', progress: true },
  ],
  ERR_PATCH_LIMIT: [400, 'The patch document exceeds a limit'],
  ERR_SIZE_LIMIT: [400, 'The resource would be larger than the server allows', { effect: 'undo' }],
  ERR_CONTENT_DIGEST: [400, 'The content does not match its Content-Digest', { problem: DIGEST }],
  ERR_NOT_FOUND: [404, 'The resource does not exist'],
  ERR_METHOD: [405, 'The resource does not support this method'],
  ERR_IDLE: [408, 'No data arrived for too long', { effect: 'cut' }],
  ERR_TOO_SLOW: [408, 'The data arrived too slowly', { effect: 'cut' }],
  ERR_GAP: [
    409,
    'The range begins beyond the end of the resource',
    { progress: true, problem: OFFSET },
  ],
  ERR_COMPLETE_LENGTH: [
    409,
    'The range contradicts the length of the resource',
    { effect: 'undo', progress: true },
  ],
  ERR_CONFLICT: [409, 'Another request has changed the resource'],
  ERR_KEY_CONFLICT: [409, 'The name clashes with another resource'],
  ERR_LOCKED: [409, 'Another request is writing to the resource'],
  ERR_INTERRUPTED: [409, 'Another request has taken over', { effect: 'cut' }],
  ERR_REPR_DIGEST: [
    409,
    'The resource does not match its Repr-Digest',
    { effect: 'reject', problem: DIGEST },
  ],
  ERR_PRECONDITION: [412, 'A precondition of the request is false'],
  ERR_CONTENT_LIMIT: [413, 'The request is larger than the server allows', { effect: 'undo' }],
  ERR_MEDIA_TYPE: [415, 'The media type is not supported'],
  ERR_CONTENT_CODING: [415, 'The content coding is not supported'],
  ERR_UNSATISFIABLE: [416, 'No requested range overlaps the resource'],
  ERR_REFUSED: [422, 'The application refused the upload', { effect: 'reject' }],
  ERR_RANGE_UNIT: [422, 'The range unit is not supported'],
  ERR_PART_CODING: [422, 'The part has a content coding'],
  ERR_PRECONDITION_REQUIRED: [428, 'The request needs a precondition'],
  ERR_TOO_MANY_UPLOADS: [429, 'There are too many uploads'],
  ERR_HEADER_LIMIT: [431, 'The request has too many field lines'],
  ERR_TRANSFER_CODING: [501, 'The transfer coding is not supported'],
  ERR_BUSY: [503, 'The server is busy'],
  ERR_CLOSING: [503, 'The server is shutting down', { effect: 'cut' }],
  ERR_STORAGE_UNAVAILABLE: [503, 'The storage does not answer'],
  ERR_STORAGE_FULL: [507, 'The storage is full', { progress: true }],
  ERR_QUOTA: [507, 'The uploads would hold too many bytes', { progress: true }],
} as const satisfies Record<string, readonly [status: number, meaning: string, traits?: Traits]>

/** A stable name of what went wrong, sent as the problem's `code`. */
export type ErrorCode = keyof typeof ERRORS

/** What an `UploadError` carries besides its code. */
export interface UploadErrorOptions {
  /** What was found and what was expected. Sent to the client: no paths, no raw header bytes. */
  readonly detail: string
  /**
   * Status instead of the one of the code's row, for a code whose status is an option.
   *
   * @default the status in `ERRORS`
   */
  readonly status?: number
  /** Fields of the response, for example `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the problem document, for example `expected-offset`. */
  readonly members?: Readonly<Record<string, string | number | boolean | null>>
  /** The error that led to this one; never sent. */
  readonly cause?: unknown
}

/** An error that is answered to the client. */
export class UploadError extends Error {
  override readonly name = 'UploadError'
  /** The row of `ERRORS`. */
  readonly code: ErrorCode
  /** HTTP status of the answer, 400 to 507. */
  readonly status: number
  /** Fields of the answer. */
  readonly headers: Readonly<Record<string, string>>
  /** Members of the problem document beyond those of RFC 9457. */
  readonly members: Readonly<Record<string, string | number | boolean | null>>

  constructor(code: ErrorCode, options: UploadErrorOptions) {
    super(options.detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = options.status ?? ERRORS[code][0]
    this.headers = options.headers ?? {}
    this.members = options.members ?? {}
  }
}

/** What distinguishes the errors of a code. */
export function traitsOf(code: ErrorCode): Traits {
  const row: readonly [number, string, Traits?] = ERRORS[code]
  return row[2] ?? {}
}

/** Whether an error is one of ours with this effect on the stored bytes. */
export function hasEffect(error: unknown, effect: Effect): error is UploadError {
  return error instanceof UploadError && traitsOf(error.code).effect === effect
}
