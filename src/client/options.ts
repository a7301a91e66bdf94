/**
 * The public options of the calls, and the values that an upload reports. `settings.ts` checks
 * them.
 */
import type { ClientError } from './error.ts'
import type { Credentials } from './transport/transport.ts'

/**
 * Header fields by name, for example `{ Authorization: 'Bearer …' }`.
 *
 * A function is called before each request, so that a long upload can send a new token after the
 * first one has expired. It may return a promise. If it throws, the call rejects with its error.
 */
export type HeaderSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)

/** A request that is about to be sent. */
export interface OutgoingRequest {
  /** `HEAD`, `GET`, `PATCH`, `PUT` or `DELETE`. */
  readonly method: string
  /** Absolute URL. */
  readonly url: string
  /**
   * All fields that the client sends. A hook may add, replace and delete fields. The platform adds
   * its own afterwards, such as `Host` and `Content-Length`.
   */
  readonly headers: Headers
}

/**
 * Options of every call. Times are numbers of milliseconds and sizes are numbers of bytes, both 0
 * or more. An option that the call does not have, and a value of another type or range, throw a
 * TypeError. `undefined` stands for the default.
 */
export interface RequestOptions {
  /**
   * Fields of every request, for example `Authorization`. If the server answers 401 and this is a
   * function, the client calls it again and repeats the request once.
   */
  readonly headers?: HeaderSource
  /**
   * Called before each request and awaited, for example to sign the request. If the server answers
   * 401, the client calls it again and repeats the request once. If it throws, the call rejects
   * with its error. It is not called for the requests that follow a redirection.
   */
  readonly onBeforeRequest?: (request: OutgoingRequest) => void | Promise<void>
  /**
   * Returns whether a failed request is repeated, at most as often as `retries` allows. `failures`
   * is the number of failures in a row before this one. If it throws, the call rejects with its
   * error.
   *
   * @default returns `error.transient`
   */
  readonly shouldRetry?: (error: ClientError, failures: number) => boolean
  /**
   * Whether cookies are sent, as in `fetch`. Only browsers have cookies to send.
   *
   * @default 'same-origin'
   */
  readonly credentials?: Credentials
  /**
   * Ends the call when it aborts. The call then rejects with the reason of the signal. The server
   * keeps the bytes that it has stored.
   */
  readonly signal?: AbortSignal
  /**
   * Largest number of retries in a row without progress. The next failure rejects the call. An
   * upload makes progress, and counts from 0 again, when the server has stored more bytes than ever
   * before. A smaller limit holds before the first contact with the server, see `waitForServer`.
   *
   * @default 20
   */
  readonly retries?: number
  /**
   * Use all `retries` even if no server has ever answered at the address. By default the call then
   * gives up after 3 retries, or after the first `ERR_STALL`, because the address is likely to be
   * wrong. Time without a network connection does not count.
   *
   * @default false
   */
  readonly waitForServer?: boolean
  /**
   * Upper bound of the delay before the first retry, in milliseconds. Each further failure in a row
   * doubles the bound (exponential backoff). The delay is random between 0 and the bound (full
   * jitter), so that the clients of a server that was down do not all return at the same moment.
   *
   * @default 500
   */
  readonly minDelay?: number
  /**
   * Largest upper bound of a delay, in milliseconds. A longer `Retry-After` of the server is
   * respected.
   *
   * @default 30000
   */
  readonly maxDelay?: number
  /**
   * Longest time in which no byte of a request or of its answer moves, in milliseconds. Beyond it
   * the request fails with `ERR_STALL` and is retried. 0 sets no limit.
   *
   * @default 30000
   */
  readonly stallTimeout?: number
  /**
   * Longest time without a byte of the answer after the content of a request was sent, in
   * milliseconds. It is longer than `stallTimeout`, because the server may have to read a whole
   * large file to verify it. It also replaces `stallTimeout` for a request that asks the server for
   * a digest. Beyond it the request fails with `ERR_STALL` and is retried. 0 sets no limit.
   *
   * @default 300000
   */
  readonly answerTimeout?: number
}

/** Progress of an upload or a patch. */
export interface Progress {
  /**
   * Number of bytes that the network has taken, or that the server has stored. It falls when a
   * broken connection has lost bytes, and when the server refuses a segment.
   */
  readonly sent: number
  /**
   * Number of bytes in all: of the source of an upload, or of the content of a patch with the
   * headers of its parts. Null for a stream that has not ended yet.
   */
  readonly size: number | null
  /**
   * Bytes per second, as a moving average over about 3 seconds. Null until bytes have moved for a
   * quarter of a second.
   */
  readonly rate: number | null
}

/** Options of `upload`. */
export interface UploadOptions extends RequestOptions {
  /**
   * Media type of the resource, such as `text/plain; charset=utf-8`. An empty string sends no type.
   *
   * @default the type of the Blob; without one the server decides
   */
  readonly contentType?: string
  /**
   * Replace a different file at the URL, finished or not. Without this option the upload rejects
   * with `ERR_DIFFERENT`, or with `ERR_UNVERIFIED` if the server does not let the client compare
   * the two.
   *
   * A finished file is replaced by one `PUT`, so that readers get the old file until the new one is
   * complete. After a broken connection the `PUT` starts over, and a stream has to fit into one
   * segment.
   *
   * @default false
   */
  readonly overwrite?: boolean
  /**
   * Before an incomplete upload is resumed, compare a digest of its stored bytes with the source.
   * By default the same name, modification date and length are enough to resume. The server then
   * verifies a digest of the whole file with the last segment, so that a wrong guess costs time,
   * not correctness.
   *
   * @default false
   */
  readonly verify?: boolean
  /**
   * Largest number of bytes of the source in one request. A fraction is rounded up, and 0 stands
   * for the default. After a 413, and behind a proxy that forwards nothing of a request that was
   * cut, the client sends the rest of the upload in smaller segments.
   *
   * @default no limit; 8 MiB for a stream and with `contentDigest`
   */
  readonly segmentSize?: number
  /**
   * Send a `Content-Digest` with each segment (RFC 9530 §2). The server then verifies a segment
   * before it stores any of it, so that a cut segment is lost as a whole. The client reads each
   * segment into memory to compute the digest.
   *
   * @default false
   */
  readonly contentDigest?: boolean
  /**
   * Send a `Repr-Digest` of the whole source with the last segment (RFC 9530 §3), which the server
   * verifies before it finishes the resource. The client reads a file a second time to compute it,
   * while it sends the first segments.
   *
   * @default false
   */
  readonly reprDigest?: boolean
  /**
   * Called as bytes move, at most every 50 ms, and after each interruption. If it throws, the
   * upload ends and `done` rejects with its error.
   */
  readonly onProgress?: (progress: Progress) => void
  /**
   * Called when the state changes. If it throws, the upload ends and `done` rejects with its error.
   * Because it is called with the state `failed`, an app with this callback need not handle a
   * rejection of `done`: it does not raise an `unhandledRejection`.
   */
  readonly onState?: (status: UploadStatus) => void
}

/** The state of an upload. */
export type UploadStatus =
  /**
   * The client asks for the state of the resource with `HEAD`, or compares its bytes with the
   * source.
   */
  | { readonly state: 'checking' }
  /** The client sends a segment. */
  | { readonly state: 'sending' }
  /**
   * A request has failed with `error`. The next attempt begins after `delay` milliseconds, or if
   * `delay` is null as soon as the device is online.
   */
  | { readonly state: 'waiting'; readonly delay: number | null; readonly error: Error }
  /** The upload waits for `resume()`. */
  | { readonly state: 'paused' }
  /**
   * The server holds exactly the bytes of the source, and `done` resolves. `isUnchanged` is true if
   * it already held them before the call, which then has sent nothing.
   */
  | { readonly state: 'done'; readonly isUnchanged: boolean }
  /** `done` rejects with `error`. */
  | { readonly state: 'failed'; readonly error: unknown }
