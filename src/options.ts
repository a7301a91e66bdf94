/** The options of the middleware. Their defaults stand in settings.ts. */
import type {
  FinalResponse,
  FinishedResource,
  NewResource,
  PublishedResource,
  RemovedResource,
} from './hooks.ts'
import type { Locker } from './storage/lock.ts'
import type { StorageAdapter } from './storage/adapter.ts'

/** One of the revisions of the draft, as a set of statuses. */
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
   * Answer to GET and HEAD while the resource is incomplete: 200, or a 2xx that has no meaning of its
   * own yet (209 to 225, 227 to 299). The reason phrase is `Incomplete Content`.
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
   * Largest resource, in bytes. A PATCH that announces or reaches more: 400 `ERR_SIZE_LIMIT`; a PUT:
   * 413 `ERR_CONTENT_LIMIT`. The content of a PATCH may be larger by the headers of its parts, which are
   * `maxParts` headers of `maxPartHeaderSize` bytes at most; beyond it: 413 `ERR_CONTENT_LIMIT`.
   *
   * @default 1 TiB
   */
  readonly maxSize: number
  /**
   * Parts in one multipart patch, 1 or more. Beyond it: 400 `ERR_PATCH_LIMIT`.
   *
   * @default 128
   */
  readonly maxParts: number
  /**
   * Header block of one part, in bytes. Beyond it: 400 `ERR_PATCH_LIMIT`.
   *
   * @default 8 KiB
   */
  readonly maxPartHeaderSize: number
  /**
   * Ranges in one GET. Beyond it the `Range` field is ignored.
   *
   * @default 16
   */
  readonly maxRanges: number
  /**
   * Longest wait of a request for another one that writes to the same resource, in milliseconds.
   *
   * A request whose client has been silent for this long loses the lock to the waiting one, because a
   * client that lost its connection resumes while the server still waits for the old request: 409
   * `ERR_INTERRUPTED`, and the bytes so far are kept where a cut connection would keep them. While bytes
   * arrive the writer keeps the lock, and the waiting request ends with 409 `ERR_LOCKED` and
   * `Retry-After`. 0: a new request takes over at once. A `locker` of the app's can set the two times apart.
   *
   * @default 2000
   */
  readonly lockTimeout: number
  /**
   * Longest silence of a client in the middle of its content, in milliseconds. Beyond it: 408
   * `ERR_IDLE`, and what arrived is kept where a cut connection would keep it. 0: no limit.
   *
   * @default 60000
   */
  readonly idleTimeout: number
  /**
   * Least rate of a client, in bytes per second, on average over a minute; the time that the server
   * takes does not count. Below it: 408 `ERR_TOO_SLOW`, and what arrived is kept where a cut connection
   * would keep it. 0: no limit.
   *
   * @default 100
   */
  readonly minRate: number
  /**
   * PATCH and PUT requests at the same time. Beyond it: 503 `ERR_BUSY` with `Retry-After`. 0: no limit.
   *
   * @default 0
   */
  readonly maxUploads: number
  /**
   * The same of one `owner`. Beyond it: 429 `ERR_TOO_MANY_UPLOADS` with `Retry-After`. 0: no limit.
   *
   * @default 0
   */
  readonly maxUploadsPerOwner: number
  /**
   * Digests of stored content of more than 8 MiB that are computed at the same time, each in a thread of
   * its own; 1 or more. Beyond it: 503 `ERR_BUSY` with `Retry-After` where a `Repr-Digest` has to be
   * verified. What a PATCH has stored stays, and the next request for the upload finishes it.
   *
   * @default 4
   */
  readonly maxHashings: number
  /**
   * Copies of stored resources of more than 8 MiB that are made at the same time, because a PATCH
   * changes a finished resource in part or an unfinished one as a whole or not at all; 1 or more.
   * Beyond it: 503 `ERR_BUSY` with `Retry-After`, and nothing has changed.
   *
   * @default 4
   */
  readonly maxCopies: number
  /**
   * Incomplete resources that one `owner` may have begun. Beyond it: 429 `ERR_TOO_MANY_UPLOADS` with
   * `Retry-After`. Needs a storage with `listIncomplete`. 0: no limit.
   *
   * @default 0
   */
  readonly maxIncompletePerOwner: number
  /**
   * Bytes in the incomplete resources of one `owner`: of each the declared length, or what has arrived
   * where none is declared. Beyond it: 507 `ERR_QUOTA`. Needs a storage with `listIncomplete`. 0: no limit.
   *
   * @default 0
   */
  readonly maxIncompleteBytesPerOwner: number
  /**
   * Milliseconds after its last byte at which an incomplete resource is removed. Answers with the status
   * `segmentStatus` or `incompleteStatus` carry the seconds that are left (`Upload-Limit: max-age`). Needs a storage with `listIncomplete`. 0: never.
   *
   * @default 0
   */
  readonly expireAfter: number
}

/** What an app allows its clients. */
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
   * `Content-Range: bytes *\/N` shortens it, and a complete-length beyond its end makes it incomplete
   * again. `same-length`: its bytes only. `immutable`: nothing, but a PATCH that repeats what is stored
   * succeeds. Otherwise: 409 `ERR_COMPLETE_LENGTH`. A PUT replaces the resource in each case.
   *
   * @default 'mutable'
   */
  readonly finished: 'mutable' | 'same-length' | 'immutable'
  /**
   * Bytes of an incomplete resource can be sent again, but not changed: 409 `ERR_COMPLETE_LENGTH`
   * for different ones.
   *
   * @default false
   */
  readonly appendOnly: boolean
  /**
   * Whether PUT is supported, also of a range that `Content-Range` names (RFC 9110 §14.5); otherwise: 405
   * `ERR_METHOD`. With `persist`, what arrived of an interrupted PUT of a new resource is kept also without
   * `Prefer: transaction=persist`.
   *
   * @default true
   */
  readonly put: boolean | 'persist'
  /**
   * `Content-Range` on the answers to GET and HEAD while the resource is incomplete. Varnish answers 503
   * to it; `Upload-Length` has the declared length in any case.
   *
   * @default true
   */
  readonly incompleteContentRange: boolean
  /**
   * GET serves what has arrived of an incomplete resource. Otherwise: 404; HEAD answers as before.
   *
   * @default true
   */
  readonly exposeIncomplete: boolean
  /**
   * The `Content-Security-Policy` of what is served; empty: none. The default keeps an uploaded page
   * from running scripts and from acting as the site that serves it.
   *
   * @default 'sandbox'
   */
  readonly contentSecurityPolicy: string
}

/** Options of `partialUpload`. `Request` is the app's own request type. */
export interface PartialUploadOptions<Request> extends Partial<Statuses & Limits & Rules> {
  /** Where resources live: `fsStorage(…)`, `memoryStorage()`, or an adapter of the app's. */
  readonly storage: StorageAdapter
  /**
   * One writer per resource. Needed only where several processes write to one storage.
   *
   * @default locks within this process, which all middlewares over the same storage object share
   */
  readonly locker?: Locker
  /**
   * The storage key of a request; null passes the request on (`next()`). `path` is the decoded path
   * below the mount, without dot segments. The mount itself, `/files/`, has no path: requests for it are
   * passed on without a call. One resource at a fixed URL is mounted with `app.all('/avatar', …)`.
   *
   * @default `path`
   */
  readonly key?: (req: Request, path: string) => string | null
  /**
   * Names the owner of an upload for the limits per owner: the id of a user, or an address. It is stored
   * with the upload. Null: no such limit holds for the request.
   *
   * @default null
   */
  readonly owner?: (req: Request) => string | null
  /** Called before a resource is created. Throws `RefusedError` to refuse: quota, type, permission. */
  readonly onCreate?: (req: Request, resource: NewResource) => void | Promise<void>
  /**
   * Called when all bytes have arrived, before they are published. Throws `RefusedError` to refuse; may
   * return the status, fields and content of the final response.
   */
  readonly onComplete?: (
    req: Request,
    resource: FinishedResource,
  ) => FinalResponse | null | void | Promise<FinalResponse | null | void>
  /**
   * Called after a new or changed resource was published, before the client is answered and before another
   * request changes the resource. An error becomes a warning of the process, because the upload has
   * succeeded, and the hook is called again later. A storage with `notes`, as `fsStorage` has them, makes that
   * so after a crash, too. Such a later call has no request: `req` is null.
   */
  readonly onPublished?: (req: Request | null, resource: PublishedResource) => void | Promise<void>
  /**
   * Called after a DELETE has removed a resource, as `onPublished`. Not called for what expires, or for an
   * upload that is rejected at its end.
   */
  readonly onRemoved?: (req: Request | null, resource: RemovedResource) => void | Promise<void>
  /**
   * The revision of the draft whose statuses are the defaults.
   *
   * @default 'seed'
   */
  readonly preset?: Preset
}
