/** The options of the middleware. settings.ts has their defaults and checks. */
import type {
  FinalResponse,
  FinishedResource,
  NewResource,
  PublishedResource,
  RemovedResource,
} from './hooks.ts'
import type { Locker } from './storage/lock.ts'
import type { StorageAdapter } from './storage/adapter.ts'

/** The name of a revision of the draft, which stands for its set of statuses. */
export type Preset = 'seed' | '2019-06' | 'ietf'

/** The statuses that an app may choose. */
export interface Statuses {
  /**
   * Answer to a PATCH that does not finish the resource: 200, 202, 204, or an unassigned 2xx.
   *
   * @default 202
   */
  readonly segmentStatus: number
  /**
   * Answer to GET and HEAD while the resource is incomplete: 200, or a 2xx that has no meaning of
   * its own yet (209 to 225, 227 to 299). The reason phrase is `Incomplete Content`.
   *
   * @default 299
   */
  readonly incompleteStatus: number
  /**
   * Answer to the request that finishes a new resource: 200, 201 or 204.
   *
   * @default 201
   */
  readonly createdStatus: number
  /**
   * Answer to a request that changes a finished resource: 200 or 204.
   *
   * @default 204
   */
  readonly modifiedStatus: number
  /**
   * Answer to a range that begins beyond the end: 400, 409, 416 or 422.
   *
   * @default 409
   */
  readonly gapStatus: number
}

/** The limits that protect the server. Sizes are bytes, times are milliseconds. */
export interface Limits {
  /**
   * Largest resource, in bytes. A PATCH that announces or reaches more: 400 `ERR_SIZE_LIMIT`; a
   * PUT: 413 `ERR_CONTENT_LIMIT`. The content of a PATCH may be larger by the headers of its parts,
   * which are `maxParts` headers of `maxPartHeaderSize` bytes at most; beyond it: 413
   * `ERR_CONTENT_LIMIT`.
   *
   * @default 1 TiB
   */
  readonly maxSize: number
  /**
   * Largest number of parts in one multipart patch, 1 or more. Beyond it: 400 `ERR_PATCH_LIMIT`.
   *
   * @default 128
   */
  readonly maxParts: number
  /**
   * Largest header block of one part, in bytes. Beyond it: 400 `ERR_PATCH_LIMIT`.
   *
   * @default 8 KiB
   */
  readonly maxPartHeaderSize: number
  /**
   * Largest number of ranges in one GET. Beyond it the field `Range` is ignored, and the answer is
   * the whole resource.
   *
   * @default 16
   */
  readonly maxRanges: number
  /**
   * Longest wait of a request for another one that writes to the same resource, in milliseconds.
   *
   * A request whose client has sent nothing for this long loses the lock to the waiting one,
   * because a client that lost its connection resumes while the server still waits for the old
   * request. The old one ends with 409 `ERR_INTERRUPTED`, and its bytes are kept as after a lost
   * connection. While bytes arrive, the writer keeps the lock, and the waiting request ends with
   * 409 `ERR_LOCKED` and `Retry-After`. With 0 a new request takes over at once. A `locker` of the
   * app can set the two times separately.
   *
   * @default 2000
   */
  readonly lockTimeout: number
  /**
   * Longest silence of a client in the middle of its content, in milliseconds. Beyond it: 408
   * `ERR_IDLE`, and the bytes are kept as after a lost connection. 0 means no limit.
   *
   * @default 60000
   */
  readonly idleTimeout: number
  /**
   * Least rate of a client, in bytes per second, averaged over a minute in which the server waits
   * for the client. Below it: 408 `ERR_TOO_SLOW`, and the bytes are kept as after a lost
   * connection. 0 means no limit.
   *
   * @default 100
   */
  readonly minRate: number
  /**
   * Largest number of PATCH and PUT requests at the same time. Beyond it: 503 `ERR_BUSY` with
   * `Retry-After`. 0: no limit.
   *
   * @default 0
   */
  readonly maxUploads: number
  /**
   * Largest number of PATCH and PUT requests of one `owner` at the same time. Beyond it: 429
   * `ERR_TOO_MANY_UPLOADS` with `Retry-After`. 0: no limit.
   *
   * @default 0
   */
  readonly maxUploadsPerOwner: number
  /**
   * Largest number of digests of stored content of more than 8 MiB that are computed at the same
   * time, each in a thread of its own; 1 or more. Beyond it: 503 `ERR_BUSY` with `Retry-After`
   * where a `Repr-Digest` has to be verified. What a PATCH has stored stays, and the next request
   * for the upload finishes it.
   *
   * @default 4
   */
  readonly maxHashings: number
  /**
   * Largest number of copies of stored resources of more than 8 MiB that are made at the same time;
   * 1 or more. A copy is made if a PATCH changes a part of a finished resource, or an upload as a
   * whole or not at all. Beyond it: 503 `ERR_BUSY` with `Retry-After`, and nothing has changed.
   *
   * @default 4
   */
  readonly maxCopies: number
  /**
   * Largest number of incomplete resources of one `owner`. Beyond it: 429 `ERR_TOO_MANY_UPLOADS`
   * with `Retry-After`. Needs a storage with `listIncomplete`. 0: no limit.
   *
   * @default 0
   */
  readonly maxIncompletePerOwner: number
  /**
   * Largest number of bytes in the incomplete resources of one `owner`: the sum of the declared
   * lengths, or of the stored bytes of those without one. Beyond it: 507 `ERR_QUOTA`. Needs a
   * storage with `listIncomplete`. 0: no limit.
   *
   * @default 0
   */
  readonly maxIncompleteBytesPerOwner: number
  /**
   * Age at which an incomplete resource is removed, in milliseconds since its last byte. Answers
   * with the status `segmentStatus` or `incompleteStatus` have the remaining seconds
   * (`Upload-Limit: max-age`). Needs a storage with `listIncomplete`. With 0 it is never removed.
   *
   * @default 0
   */
  readonly expireAfter: number
}

/** The rules that an app sets for its clients. */
export interface Rules {
  /**
   * Refuse PUT, PATCH and DELETE without `If-Match`, `If-None-Match` or `If-Unmodified-Since`: 428
   * `ERR_PRECONDITION_REQUIRED`.
   *
   * @default false
   */
  readonly requirePreconditions: boolean
  /**
   * What a PATCH may change of a finished resource. `mutable`: its bytes and its length;
   * `Content-Range: bytes *\/N` shortens it, and a complete-length beyond its end makes it
   * incomplete again. `same-length`: its bytes only. `immutable`: nothing, but a PATCH that repeats
   * what is stored succeeds. Otherwise: 409 `ERR_COMPLETE_LENGTH`. A PUT replaces the resource in
   * each case.
   *
   * @default 'mutable'
   */
  readonly finished: 'mutable' | 'same-length' | 'immutable'
  /**
   * Whether the stored bytes of an incomplete resource must not change. A client may send them
   * again; different bytes are refused with 409 `ERR_COMPLETE_LENGTH`.
   *
   * @default false
   */
  readonly appendOnly: boolean
  /**
   * Whether PUT is supported, even with a `Content-Range` (RFC 9110 §14.5). If not: 405
   * `ERR_METHOD`. With `persist` the server keeps the bytes of an interrupted PUT of a new resource
   * even without `Prefer: transaction=persist`.
   *
   * @default true
   */
  readonly put: boolean | 'persist'
  /**
   * Whether answers to GET and HEAD have a `Content-Range` while the resource is incomplete.
   * Varnish answers 503 to that field. `Upload-Length` has the declared length in any case.
   *
   * @default true
   */
  readonly incompleteContentRange: boolean
  /**
   * Whether GET serves the stored bytes of an incomplete resource. If not: 404. HEAD reports the
   * offset in any case.
   *
   * @default true
   */
  readonly exposeIncomplete: boolean
  /**
   * The `Content-Security-Policy` of answers with a stored file. With an empty string none is sent.
   * The default keeps an uploaded page from running scripts and from acting as the site that serves
   * it.
   *
   * @default 'sandbox'
   */
  readonly contentSecurityPolicy: string
}

/** Options of `partialUpload`. `Request` is the app's own request type. */
export interface PartialUploadOptions<Request> extends Partial<Statuses & Limits & Rules> {
  /**
   * The storage of the resources: `fsStorage(…)`, `s3Storage(…)`, `memoryStorage()`, or an adapter
   * of the app.
   */
  readonly storage: StorageAdapter
  /**
   * The locks that let one request at a time write to a resource. Needed only if several processes
   * write to one storage that does not decide between writers itself, such as `fsStorage`; see
   * `fsLocker`.
   *
   * @default locks within this process, which all middlewares over the same storage object share
   */
  readonly locker?: Locker
  /**
   * Returns the storage key of a request; null passes the request on (`next()`). `path` is the
   * decoded path below the mount, without dot segments. A request for the mount itself, `/files/`,
   * is passed on without a call. A single resource at a fixed URL is mounted with
   * `app.all('/avatar', …)`. A key that no storage accepts, such as one with `..`: 400 `ERR_KEY`.
   * An error, and a value that is neither a string nor null, goes to `next(error)`.
   *
   * @default `path`
   */
  readonly key?: (req: Request, path: string) => string | null
  /**
   * Returns the owner of an upload for the limits per owner, such as the id of a user or an
   * address. It is stored with the upload. With null no such limit applies to the request. An
   * error, and a value that is neither a string nor null, goes to `next(error)`.
   *
   * @default null
   */
  readonly owner?: (req: Request) => string | null
  /**
   * Called before a resource is created, and before any byte is stored. It may throw `RefusedError`
   * to refuse. An error that is not meant for the client goes to `next(error)`, and nothing is
   * stored.
   */
  readonly onCreate?: (req: Request, resource: NewResource) => void | Promise<void>
  /**
   * Called when all bytes have arrived, before the version is published. It may throw
   * `RefusedError` to refuse, and may return the status, the fields and the content of the final
   * response. An error that is not meant for the client goes to `next(error)`; a persist write then
   * keeps its bytes, and the next request that completes the upload calls the hook again. It may
   * also be called again for the same bytes after a crash.
   */
  readonly onComplete?: (
    req: Request,
    resource: FinishedResource,
  ) => FinalResponse | null | void | Promise<FinalResponse | null | void>
  /**
   * Called after a new or changed resource was published, before the client is answered and before
   * another request changes the resource. An error becomes a process warning, because the upload
   * has succeeded, and the hook is called again later. With a storage that has `notes`, such as
   * `fsStorage`, it is also called again after a crash. Such a later call has no request: `req` is
   * null.
   */
  readonly onPublished?: (req: Request | null, resource: PublishedResource) => void | Promise<void>
  /**
   * Called after a DELETE has removed a resource, with the guarantees of `onPublished`. Not called
   * for an upload that expires or is rejected at its end.
   */
  readonly onRemoved?: (req: Request | null, resource: RemovedResource) => void | Promise<void>
  /**
   * The revision of the draft whose statuses are the defaults.
   *
   * @default 'seed'
   */
  readonly preset?: Preset
}
