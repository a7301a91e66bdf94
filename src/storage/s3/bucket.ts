/**
 * The operations of an object store that the S3 storage needs: those of the API of Amazon S3, with
 * its conditional writes. An implementation binds them to a client library.
 *
 * Each method makes exactly one attempt and never retries, because the storage has to know that a
 * request may have taken effect although its answer was lost. An attempt without an answer within a
 * timeout rejects with `unavailable`. Entity tags are passed on unchanged, with their quotes,
 * because the store compares them.
 */

/** Kinds of failed requests, by what the storage has to do next. */
export type BucketErrorKind =
  /**
   * The condition of the request is false (412), or `ifMatch` names an object that does not exist.
   */
  | 'precondition'
  /**
   * The multipart upload, the source of a copy, or the bucket does not exist (`NoSuchUpload`,
   * `NoSuchKey`, …).
   */
  | 'missing'
  /** Another request on the same key was in progress (409). The storage has to read its outcome. */
  | 'conflict'
  /** The store has no room (507, or a quota of the store). */
  | 'full'
  /** The credentials do not allow the request (401, 403). */
  | 'denied'
  /**
   * No answer, an answer that was cut off, a timeout, 429 or 5xx. The request may have taken
   * effect, or may take effect later.
   */
  | 'unavailable'
  /**
   * The engine does not implement the operation or one of its parameters (501, `NotImplemented`).
   */
  | 'unsupported'
  /** The caller's signal has aborted the request. It may have taken effect. */
  | 'aborted'
  /** Any other refusal. The request was wrong, so that another attempt would fail too. */
  | 'rejected'

/**
 * A failed request. The error of the client library, which has S3's code and message, is its
 * `cause`.
 */
export class BucketError extends Error {
  override readonly name = 'BucketError'
  /** The kind of the failure, which decides what the storage does next. */
  readonly kind: BucketErrorKind
  /** S3's code, such as `SlowDown` or `NoSuchUpload`; null if no answer arrived. */
  readonly s3Code: string | null

  constructor(kind: BucketErrorKind, s3Code: string | null, options: ErrorOptions = {}) {
    super(`the object store answered ${s3Code ?? 'nothing'} (${kind})`, options)
    this.kind = kind
    this.s3Code = s3Code
  }
}

/** Options of every request. */
export interface RequestOptions {
  /** Aborts the request. It rejects with `aborted`. */
  readonly signal?: AbortSignal
}

/**
 * A condition on the object that a request replaces or removes. Without any member it always holds.
 */
export interface Condition {
  /** Entity tag that the object must have. */
  readonly ifMatch?: string
  /** The object must not exist. */
  readonly ifNoneMatch?: '*'
}

/** Properties of an object. */
export interface ObjectInfo {
  /** Entity tag with its quotes. */
  readonly etag: string
  /** Length in bytes of the whole object, even in the answer to a range. */
  readonly size: number
  /** Time of the object, as the store reports it. */
  readonly lastModified: Date
  /** `Content-Type` of the object; null if the store reports none. */
  readonly contentType: string | null
  /** User metadata: names in lower case without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  /** Id of the version in a bucket with versioning; null otherwise. */
  readonly versionId: string | null
}

/** An object that is being read. */
export interface FetchedObject extends ObjectInfo {
  /**
   * The requested bytes, to be read once. The iteration rejects with `unavailable` if the
   * connection ends before the announced length. An iterator that is left early frees the
   * connection. The caller always iterates or calls `cancel`: otherwise the connection stays open.
   */
  readonly body: AsyncIterable<Uint8Array>
  /**
   * Frees the connection of a body that is not read. Does nothing after the iteration has begun.
   */
  cancel(): void
}

/** How an object is read. */
export interface GetOptions extends RequestOptions {
  /** Bytes `start` to `end` (exclusive), 0 ≤ `start` < `end` ≤ size. Without it: all bytes. */
  readonly range?: { readonly start: number; readonly end: number }
  /** Entity tag that the object must have; otherwise `precondition`. */
  readonly ifMatch?: string
  /** Version to read in a bucket with versioning. */
  readonly versionId?: string
}

/** The answer under a presigned URL. */
export interface PresignedAnswer {
  /** Version to read in a bucket with versioning; null for the current one. */
  readonly versionId: string | null
  readonly contentType: string
  readonly contentDisposition: string | null
}

/** Fields that the store keeps with the bytes of an object. */
export interface ObjectHeaders {
  /** `Content-Type`; null for the store's own default. */
  readonly contentType: string | null
  /** `Content-Disposition` that the store serves the object with; null for none. */
  readonly contentDisposition: string | null
  /** User metadata: lower-case names without `x-amz-meta-`, values in printable ASCII. */
  readonly metadata: Readonly<Record<string, string>>
}

/** How an object is written. */
export interface PutOptions extends RequestOptions, Condition, Partial<ObjectHeaders> {}

/** How an object is removed. */
export interface DeleteOptions extends RequestOptions {
  /** Entity tag that the object must have; otherwise `precondition`. */
  readonly ifMatch?: string
}

/** A range of an object, as the source of a part. */
export interface CopySource {
  /** Key of the object. */
  readonly key: string
  /** Entity tag that the object must have. Some stores ignore it in a copy. */
  readonly ifMatch?: string
  /** Version to copy from, in a bucket with versioning. */
  readonly versionId?: string
  /**
   * Bytes `start` to `end` (exclusive). Null for the whole object, because Amazon S3 accepts a
   * range only if the object is larger than 5 MiB.
   */
  readonly range: { readonly start: number; readonly end: number } | null
}

/** A stored part of a multipart upload: what a completion sends for it. */
export interface Part {
  /** Number of the part, 1 to 10,000. */
  readonly number: number
  /** Entity tag that the store returned for the part. */
  readonly etag: string
}

/** An object in a list. */
export interface ListedObject {
  readonly key: string
  readonly etag: string
  readonly size: number
  readonly lastModified: Date
}

/** A page of a list. */
export interface ListPage {
  readonly objects: readonly ListedObject[]
  /** Value of `after` with which the next page is requested; null on the last page. */
  readonly next: string | null
}

/** A multipart upload that was neither completed nor aborted. */
export interface ListedMultipart {
  readonly key: string
  readonly upload: string
  readonly initiated: Date
}

/** A page of a list of multipart uploads. */
export interface MultipartPage {
  readonly uploads: readonly ListedMultipart[]
  /** Value of `after` with which the next page is requested; null on the last page. */
  readonly next: string | null
}

/** How a list is read. */
export interface ListOptions extends RequestOptions {
  /** `next` of the page before; without it the first page. Opaque to the caller. */
  readonly after?: string
}

/**
 * One bucket. Reads are strongly consistent: a read that begins after a write was answered sees
 * that write. A method rejects with `BucketError` only.
 */
export interface Bucket {
  /**
   * The same object for all `Bucket`s of this process on the same bucket, so that storages over
   * them share locks. Without it each `Bucket` has locks of its own.
   */
  readonly scope?: object
  /** Reads an object, whole or in part; null if it does not exist. */
  get(key: string, options?: GetOptions): Promise<FetchedObject | null>
  /** Reads the properties of an object; null if it does not exist. */
  head(key: string, options?: RequestOptions): Promise<ObjectInfo | null>
  /**
   * Writes an object. The chunks are borrowed until the promise settles.
   *
   * @returns the entity tag of the new object.
   */
  put(key: string, chunks: readonly Uint8Array[], options?: PutOptions): Promise<string>
  /** Removes an object. Resolves even if the object does not exist. */
  delete(key: string, options?: DeleteOptions): Promise<void>
  /**
   * Lists objects whose key begins with `prefix`, in the order of their UTF-8 keys, at most 1000 a
   * page.
   */
  list(prefix: string, options?: ListOptions): Promise<ListPage>
  /** Begins a multipart upload, and returns its id. */
  createMultipart(key: string, options: RequestOptions & ObjectHeaders): Promise<string>
  /**
   * Uploads a part. The chunks are borrowed until the promise settles.
   *
   * @returns the entity tag of the part.
   */
  uploadPart(
    key: string,
    upload: string,
    number: number,
    chunks: readonly Uint8Array[],
    options?: RequestOptions,
  ): Promise<string>
  /** Copies a part inside the store from another object, and returns the entity tag of the part. */
  uploadPartCopy(
    key: string,
    upload: string,
    number: number,
    source: CopySource,
    options?: RequestOptions,
  ): Promise<string>
  /**
   * Assembles the parts, in the order of their numbers, into the object. A store may answer 200
   * with an error in the body, in which case the method rejects too.
   *
   * @returns the entity tag of the new object.
   */
  completeMultipart(
    key: string,
    upload: string,
    parts: readonly Part[],
    options?: RequestOptions & Condition,
  ): Promise<string>
  /** Removes a multipart upload and its parts. Resolves even if the upload does not exist. */
  abortMultipart(key: string, upload: string, options?: RequestOptions): Promise<void>
  /** Lists multipart uploads whose key begins with `prefix`. */
  listMultiparts(prefix: string, options?: ListOptions): Promise<MultipartPage>
  /**
   * Makes a URL under which a client reads the object without credentials. Absent unless the app
   * wants clients to be redirected to the store.
   */
  presign?(key: string, answer: PresignedAnswer): Promise<string>
}
