/** What a caller can say, and the defaults. */
import type { Credentials } from './transport/transport.ts'

/** Fields of requests, or a function that is asked before each request: tokens expire. */
export type HeaderSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)

/** Options of every call. Times in milliseconds, sizes in bytes. */
export interface RequestOptions {
  /**
   * Fields that go with every request, `Authorization` for example. After a 401 a function is asked
   * once more, and the request is sent again with what it returns.
   */
  readonly headers?: HeaderSource
  /**
   * Whether cookies go along, as in `fetch`. Counts in browsers only.
   *
   * @default 'same-origin'
   */
  readonly credentials?: Credentials
  /** Ends the call: it rejects with the signal's reason. What the server has got stays there. */
  readonly signal?: AbortSignal
  /**
   * Failures in a row, without a byte of progress between them, after which the call gives up. Before
   * the server has answered for the first time at most 3 count, see `waitForServer`.
   *
   * @default 20
   */
  readonly retries?: number
  /**
   * Keep trying, as often as `retries` allows, while nothing has ever answered at the address. By
   * default the call fails within seconds then, because the address is more likely to be wrong.
   *
   * @default false
   */
  readonly waitForServer?: boolean
  /**
   * Bound of the first wait after a failure. Each further one doubles it; the wait itself is random
   * between 0 and the bound, so that many clients do not come back at once.
   *
   * @default 500
   */
  readonly minDelay?: number
  /**
   * Largest bound of a wait. `Retry-After` is honoured beyond it.
   *
   * @default 30000
   */
  readonly maxDelay?: number
  /**
   * Longest time without a byte moving while content is sent. Beyond it the request is given up and
   * counts as a failure. 0: no limit.
   *
   * @default 30000
   */
  readonly stallTimeout?: number
  /**
   * Longest wait for the answer once all content is sent: the server may have a large file to check.
   * Beyond it the request is given up and counts as a failure. 0: no limit.
   *
   * @default 300000
   */
  readonly answerTimeout?: number
}

/** How far an upload or a patch is. */
export interface Progress {
  /**
   * Bytes that the server has or the network has taken. It falls when a connection breaks and bytes
   * that were under way are lost.
   */
  readonly sent: number
  /** Bytes in all; null while unknown. */
  readonly size: number | null
  /** Bytes per second of late; null until there is something to tell. */
  readonly rate: number | null
}

/** Options of `upload`. */
export interface UploadOptions extends RequestOptions {
  /**
   * Media type that the resource gets.
   *
   * @default the type of the Blob; else the server's
   */
  readonly contentType?: string
  /**
   * Replace a file at the URL unless a digest proves that it equals the source. Otherwise:
   * `ERR_DIFFERENT`, or `ERR_UNVERIFIED` where the server does not let it be compared. A finished
   * file is replaced by one `PUT`, and stays as it is until the new one is complete: after a broken
   * connection that `PUT` starts from the beginning. A stream must fit into one segment for that.
   *
   * @default false
   */
  readonly overwrite?: boolean
  /**
   * Compare the digest of the bytes that an earlier call has left before sending the rest, even if
   * they carry the name, the modification date and the length of the source. By default these are
   * enough to resume, and a digest of the whole is checked with the last segment.
   *
   * @default false
   */
  readonly verify?: boolean
  /**
   * Bytes per request. By default one request carries all that remains; after a 413, or when a proxy
   * has swallowed a cut request, the rest of the upload goes in smaller ones. 0: the default.
   *
   * @default no limit; 8 MiB for streams and with `contentDigest`
   */
  readonly segmentSize?: number
  /**
   * Send a `Content-Digest` with each segment. A segment is then kept whole or not at all, and is
   * held in memory.
   *
   * @default false
   */
  readonly contentDigest?: boolean
  /**
   * Send a `Repr-Digest` with the last segment, which the server checks against the whole. The
   * source is hashed beside the transfer.
   *
   * @default false
   */
  readonly reprDigest?: boolean
  /**
   * Called as bytes move, at most every 50 ms, and at each stop. An exception ends the upload, and
   * `done` rejects with it.
   */
  readonly onProgress?: (progress: Progress) => void
  /**
   * Called when the state changes. An exception ends the upload, and `done` rejects with it. With
   * this callback a rejection of `done` that nobody handles is not an unhandled rejection.
   */
  readonly onState?: (status: UploadStatus) => void
}

/** What an upload is at. */
export type UploadStatus =
  /** It asks the server what is there. */
  | { readonly state: 'checking' }
  /** Bytes are under way. */
  | { readonly state: 'sending' }
  /** It waits to try again: so many milliseconds, or null until the device is online. */
  | { readonly state: 'waiting'; readonly delay: number | null; readonly error: Error }
  /** It waits for `resume()`. */
  | { readonly state: 'paused' }
  /**
   * The server holds exactly the bytes of the source, and `done` is resolved. `isUnchanged` is true if
   * it did so before the call, which has sent nothing.
   */
  | { readonly state: 'done'; readonly isUnchanged: boolean }
  /** It is over: `done` is rejected. */
  | { readonly state: 'failed'; readonly error: unknown }
