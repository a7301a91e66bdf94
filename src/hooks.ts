/**
 * The hooks of an app: before a resource is created, around its publication, and after its removal.
 */
import { UploadError } from './errors.ts'
import type { ResourceInfo } from './storage/adapter.ts'

/** A resource that is about to be created. */
export interface NewResource {
  /** The storage key. */
  readonly key: string
  /**
   * Length in bytes that the client has declared; null if it has not. The upload can't become
   * longer.
   */
  readonly length: number | null
  /**
   * Media type that the client sent; null if none. It is not checked, so that the bytes may be of
   * any type.
   */
  readonly contentType: string | null
  /**
   * File name from the `Content-Disposition` of the client, decoded and without folders; null if
   * the client sent none. It is not checked: it may have up to 1 KiB and any extension.
   */
  readonly name: string | null
}

/** A resource whose bytes have all arrived. No other request can read this version yet. */
export interface FinishedResource {
  /** The storage key. */
  readonly key: string
  /** Length in bytes. */
  readonly size: number
  /**
   * Media type that the client sent; null if none. It is not checked, so that the bytes may be of
   * any type.
   */
  readonly contentType: string | null
  /**
   * File name from the `Content-Disposition` of the client, decoded and without folders; null if
   * the client sent none. It is not checked: it may have up to 1 KiB and any extension.
   */
  readonly name: string | null
  /** The finished version that this one replaces; null if none is published. */
  readonly previous: ResourceInfo | null
  /** Reads bytes `start` (default 0) to `end` (exclusive, default and at most `size`). */
  read(start?: number, end?: number): AsyncIterable<Uint8Array>
}

/** A finished version that other requests can read. */
export interface PublishedResource {
  /** The storage key. */
  readonly key: string
  /** Length in bytes. */
  readonly size: number
  /** Strong entity tag of the version, with its quotes. No other version has the same. */
  readonly etag: string
  /** Time of the last change, which GET sends as `Last-Modified`. */
  readonly lastModified: Date
  /**
   * Media type that the client sent; null if none. It is not checked, so that the bytes may be of
   * any type.
   */
  readonly contentType: string | null
  /** File name that the client gave, as `FinishedResource.name`; null if it did not. Unchecked. */
  readonly name: string | null
  /** The user that began the upload, from the option `owner`; null without that option. */
  readonly owner: string | null
  /**
   * The finished version that this one has replaced; null if none was published. After a failure of
   * the hook or a crash, the last version before it that the app was notified of.
   */
  readonly previous: ResourceInfo | null
  /**
   * Path of the file with the bytes, which is not to be changed; null if the storage has no such
   * file, or no `filePath`.
   */
  readonly path: string | null
}

/** A resource that a DELETE has removed. */
export interface RemovedResource {
  /** The storage key. */
  readonly key: string
  /** Whether the resource was finished. False for an upload that was removed before its end. */
  readonly complete: boolean
  /** Number of bytes that were stored. */
  readonly size: number
  /** Entity tag of the last version. */
  readonly etag: string
  /** Media type that the client named; null if it did not. */
  readonly contentType: string | null
  /** File name that the client gave, as `FinishedResource.name`; null if it did not. */
  readonly name: string | null
  /** The user that began the upload, from the option `owner`; null without that option. */
  readonly owner: string | null
}

/** The parts of the final response that `onComplete` may set. */
export interface FinalResponse {
  /**
   * A 2xx status.
   *
   * @default `createdStatus` for a new resource, `modifiedStatus` for a changed one
   */
  readonly status?: number
  /**
   * Further fields, for example `Location`. Fields that frame the message, such as
   * `Content-Length`, are refused.
   */
  readonly headers?: Readonly<Record<string, string>>
  /** Content; an object is sent as JSON. With content, a default status of 204 becomes 200. */
  readonly body?: string | Uint8Array | object
}

/**
 * The hooks that notify the app of a change, called under the lock; null where the app has no use
 * for one.
 */
export interface Notifications {
  /** Called after a version was published. */
  readonly onPublished: ((resource: PublishedResource) => Promise<void>) | null
  /** Called after a resource was removed. */
  readonly onRemoved: ((resource: RemovedResource) => Promise<void>) | null
}

/** The hooks of the app, bound to one request. */
export interface Hooks extends Notifications {
  /** Called under the lock before anything of a new resource is stored. */
  onCreate(resource: NewResource): Promise<void>
  /** Called under the lock when all bytes have arrived, before the version is published. */
  onComplete(resource: FinishedResource): Promise<FinalResponse | null>
}

/** Options of a refusal. */
export interface RefuseOptions {
  /**
   * Keep the bytes of a refused upload as an incomplete resource, so that a later request can
   * finish it.
   *
   * @default false: the bytes are removed, with the earlier segments of the upload. After a PUT or
   * an atomic PATCH the resource stays as it was before the request.
   */
  readonly keep?: boolean
}

/**
 * The error that a hook throws to refuse an upload. The client gets `status` and `detail` in a
 * problem document with the code `ERR_REFUSED`.
 */
export class RefusedError extends UploadError {
  /** Whether the bytes of the upload stay as an incomplete resource. */
  readonly keep: boolean

  /**
   * @param status Status of the response, 400 to 599.
   * @param detail Sent to the client: what was found and what was expected.
   * @throws TypeError for any other status.
   */
  constructor(status: number, detail: string, options: RefuseOptions = {}) {
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new TypeError(`status of a refusal must be 400 to 599, not ${status}`)
    }
    super('ERR_REFUSED', { status, detail })
    this.keep = options.keep ?? false
  }
}

/**
 * Runs a hook. An error with a `status` of 400 to 599 and `expose: true`, as http-errors makes it,
 * is a refusal as well; every other error is an error of the server.
 *
 * @throws RefusedError
 */
export async function callHook<T>(hook: () => Promise<T>): Promise<T> {
  try {
    return await hook()
  } catch (error) {
    throw toRefusal(error)
  }
}

/**
 * Turns an error of http-errors that is meant for the client (`expose`) into a refusal. Returns
 * others unchanged.
 */
function toRefusal(error: unknown): unknown {
  if (error instanceof UploadError || !(error instanceof Error)) return error
  if (!('status' in error) || !('expose' in error) || error.expose !== true) return error
  const { status } = error
  if (typeof status !== 'number' || !Number.isInteger(status)) return error
  return status >= 400 && status < 600 ? new RefusedError(status, error.message) : error
}
