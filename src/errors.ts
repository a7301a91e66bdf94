/**
 * The errors that are answered to the client, and the table of their codes.
 *
 * The middleware answers an `UploadError` with a problem document (RFC 9457). Every other error is
 * a fault of the app or the storage, and goes to `next(error)` unchanged.
 */

/** What an error does to the bytes that the request has stored so far. */
export type Effect =
  /**
   * The content ended early, because of a timeout, a takeover or a shutdown. The bytes so far are
   * as the client sent them, so that a persist write keeps them, and the client resumes after them.
   */
  | 'cut'
  /**
   * The content does not have the length that was announced, so that it is unknown which bytes are
   * right. The resource is reset to its size before the request.
   */
  | 'undo'
  /**
   * The complete resource is wrong, or the app has refused it. `finishWrite` undoes the write, and
   * removes the upload.
   */
  | 'reject'

/**
 * A problem type that an Internet-Draft adds to the IANA registry:
 * draft-ietf-httpapi-digest-fields-problem-types for the digests,
 * draft-ietf-httpbis-resumable-upload for the offset. Clients compare the type as a string.
 */
interface ProblemType {
  readonly type: string
  readonly title: string
}

/** What the errors of a code have in common, besides status and meaning. */
interface Traits {
  /** What happens to the stored bytes. Without it a persist write keeps them, as after `cut`. */
  readonly effect?: Effect
  /**
   * Whether the problem document has the members `received` and `length`, from which a client can
   * resume.
   */
  readonly progress?: boolean
  /**
   * Type and title of the problem document. Without it they are `about:blank` and the phrase of the
   * status.
   */
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
 * The table of all errors: code, status, meaning, traits. The meaning begins the `detail` of a
 * problem document. The README of the protocol shows the table, and a test compares the two.
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

/**
 * The stable name of an error, sent as the member `code` of the problem document. Clients decide by
 * it.
 */
export type ErrorCode = keyof typeof ERRORS

/** Options of an `UploadError`. */
export interface UploadErrorOptions {
  /**
   * What was found and what was expected. It is sent to the client, so it must not have paths of
   * the server or raw bytes of the request.
   */
  readonly detail: string
  /**
   * HTTP status, for a code whose status is an option of the app, such as `ERR_GAP`.
   *
   * @default the status in `ERRORS`
   */
  readonly status?: number
  /** Further fields of the answer, for example `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the problem document, for example `expected-offset`. */
  readonly members?: Readonly<Record<string, string | number | boolean | null>>
  /** The error that led to this one; never sent. */
  readonly cause?: unknown
}

/**
 * An error that is answered to the client. Storage adapters and hooks may throw it as well; a hook
 * that refuses an upload throws `RefusedError`.
 */
export class UploadError extends Error {
  override readonly name = 'UploadError'
  /** The code, a key of `ERRORS`. */
  readonly code: ErrorCode
  /** HTTP status of the answer, 400 to 507. */
  readonly status: number
  /** Further fields of the answer, such as `Retry-After`. */
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

/** Returns the traits of a code; none for most codes. */
export function traitsOf(code: ErrorCode): Traits {
  const row: readonly [number, string, Traits?] = ERRORS[code]
  return row[2] ?? {}
}

/** Returns whether an error is an `UploadError` with this effect on the stored bytes. */
export function hasEffect(error: unknown, effect: Effect): error is UploadError {
  return error instanceof UploadError && traitsOf(error.code).effect === effect
}
