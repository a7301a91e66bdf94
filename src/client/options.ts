/** The options of the calls, and what an upload reports. `settings.ts` has their defaults and checks. */
import type { ClientError } from './error.ts'
import type { Credentials } from './transport/transport.ts'

/**
 * Fields of every request. A function is called before each request, so that it can return a token that
 * has not expired.
 */
export type HeaderSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)

/** A request that is about to be sent. */
export interface OutgoingRequest {
  readonly method: string
  /** Absolute. */
  readonly url: string
  /** All fields that the client sends. A hook may add to them. */
  readonly headers: Headers
}

/**
 * Options of every call. Times are in milliseconds, and sizes in bytes. An unknown option and a value out
 * of range are a TypeError; `undefined` stands for the default.
 */
export interface RequestOptions {
  /**
   * Fields of every request, for example `Authorization`. If the answer is 401 and this is a function, it
   * is called once more and the request is repeated.
   */
  readonly headers?: HeaderSource
  /**
   * Called before each request and awaited, for example to sign it. If the answer is 401, it is called
   * once more and the request is repeated. An exception ends the call, which rejects with it. It is not
   * called for redirections.
   */
  readonly onBeforeRequest?: (request: OutgoingRequest) => void | Promise<void>
  /**
   * Whether a failed request is repeated, at most as often as `retries` allows. `failures` is the number
   * of failures in a row before this one.
   *
   * @default whether the error is `transient`
   */
  readonly shouldRetry?: (error: ClientError, failures: number) => boolean
  /**
   * Whether cookies are sent, as in `fetch`. Has an effect in browsers only.
   *
   * @default 'same-origin'
   */
  readonly credentials?: Credentials
  /** Aborts the call, which rejects with the reason of the signal. The server keeps the stored bytes. */
  readonly signal?: AbortSignal
  /**
   * Number of retries after failures in a row, without a byte of progress between them. After the last
   * one the call rejects with the error. Before the server has ever answered it is at most 3, see
   * `waitForServer`.
   *
   * @default 20
   */
  readonly retries?: number
  /**
   * Use all `retries` even if no server has ever answered at the address. By default the call then
   * fails within seconds, because the address is likely to be wrong.
   *
   * @default false
   */
  readonly waitForServer?: boolean
  /**
   * Upper bound of the wait before the first retry. Each further retry doubles the bound. The wait is
   * random between 0 and the bound, so that many clients do not return at once.
   *
   * @default 500
   */
  readonly minDelay?: number
  /**
   * Largest upper bound of a wait. A longer `Retry-After` of the server is respected.
   *
   * @default 30000
   */
  readonly maxDelay?: number
  /**
   * Longest time without a byte of progress while content is sent. Beyond it the request fails with
   * `ERR_STALL` and is retried. 0 sets no limit.
   *
   * @default 30000
   */
  readonly stallTimeout?: number
  /**
   * Longest wait for the answer after all content was sent, because the server may have to verify a large
   * file. Beyond it the request fails with `ERR_STALL` and is retried. 0 sets no limit.
   *
   * @default 300000
   */
  readonly answerTimeout?: number
}

/** Progress of an upload or a patch. */
export interface Progress {
  /**
   * Number of bytes that the server has stored or the network has taken. It falls when a broken
   * connection loses bytes, and when the server refuses them.
   */
  readonly sent: number
  /** Number of bytes of the source; null for a stream that has not ended. */
  readonly size: number | null
  /** Bytes per second, averaged over some seconds; null before the first measurement. */
  readonly rate: number | null
}

/** Options of `upload`. */
export interface UploadOptions extends RequestOptions {
  /**
   * Media type of the resource, such as `text/plain; charset=utf-8`.
   *
   * @default the type of the Blob, or else the default of the server
   */
  readonly contentType?: string
  /**
   * Replace a different file at the URL, finished or not. Without this option the upload rejects with
   * `ERR_DIFFERENT`, or with `ERR_UNVERIFIED` if the server does not let the client compare the two.
   *
   * A finished file is replaced by one `PUT`, and stays until the new one is complete. After a broken
   * connection the `PUT` starts over, and a stream has to fit into one segment.
   *
   * @default false
   */
  readonly overwrite?: boolean
  /**
   * Compare the digest of the bytes that an earlier call has stored before sending the rest. By default
   * the same name, modification date and length are enough to resume, and the server verifies a digest
   * of the whole with the last segment.
   *
   * @default false
   */
  readonly verify?: boolean
  /**
   * Bytes per request. By default one request carries all that remains. After a 413, or if a proxy keeps
   * nothing of a request that was cut, the rest of the upload is sent in smaller ones. 0 is the default.
   *
   * @default no limit; 8 MiB for streams and with `contentDigest`
   */
  readonly segmentSize?: number
  /**
   * Send a `Content-Digest` with each segment (RFC 9530). The server then stores a segment as a whole or
   * not at all. The client holds each segment in memory.
   *
   * @default false
   */
  readonly contentDigest?: boolean
  /**
   * Send a `Repr-Digest` with the last segment (RFC 9530), which the server compares with the whole. The
   * source is read twice: once to hash it, while it is sent.
   *
   * @default false
   */
  readonly reprDigest?: boolean
  /**
   * Called as bytes move, at most every 50 ms, and after each interruption. An exception ends the upload,
   * and `done` rejects with it.
   */
  readonly onProgress?: (progress: Progress) => void
  /**
   * Called when the state changes. An exception ends the upload, and `done` rejects with it. With this
   * callback a rejection of `done` that is not handled does not count as an unhandled rejection.
   */
  readonly onState?: (status: UploadStatus) => void
}

/** The state of an upload. */
export type UploadStatus =
  /** A `HEAD` asks for the state of the resource, or stored bytes are compared. */
  | { readonly state: 'checking' }
  /** A segment is sent. */
  | { readonly state: 'sending' }
  /** The next try is due in `delay` milliseconds, or with `null` when the device is online. */
  | { readonly state: 'waiting'; readonly delay: number | null; readonly error: Error }
  /** The upload waits for `resume()`. */
  | { readonly state: 'paused' }
  /**
   * The server holds exactly the bytes of the source, and `done` is resolved. `isUnchanged` is true if it
   * held them before the call, which has sent nothing.
   */
  | { readonly state: 'done'; readonly isUnchanged: boolean }
  /** `done` is rejected with `error`. */
  | { readonly state: 'failed'; readonly error: unknown }
