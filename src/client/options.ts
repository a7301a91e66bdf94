/** What a caller can say, and the defaults. */
import type { Clock } from './clock.ts'
import type { Credentials } from './transport/transport.ts'

/** Fields of requests, or a function that is asked before each request: tokens expire. */
export type HeaderSource =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)

/** Options of every call. Times in milliseconds, sizes in bytes. */
export interface RequestOptions {
  /** Fields that go with every request, `Authorization` for example. */
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
   * Failures in a row, without a byte of progress between them, after which the call gives up.
   *
   * @default 20
   */
  readonly retries?: number
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
  /**
   * Bytes at either end that are compared where it must be known whether two files are the same; more
   * than 512 KiB counts as 512 KiB. 0: lengths alone decide, for URLs that nobody else knows.
   *
   * @default 64 KiB
   */
  readonly compareSize?: number
  /** Time, for tests. */
  readonly clock?: Clock
  /** Randomness from 0 to 1, for tests. */
  readonly random?: () => number
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
   * Remove what is at the URL if it is not the same file. Otherwise: `ERR_DIFFERENT`, or
   * `ERR_UNVERIFIED` where the server does not let it be compared.
   *
   * @default false
   */
  readonly overwrite?: boolean
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
  /** Called as bytes move, at most every 50 ms, and at each stop. */
  readonly onProgress?: (progress: Progress) => void
  /** Called when the state changes. */
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
  /** All is there: `done` is resolved. */
  | { readonly state: 'done' }
  /** It is over: `done` is rejected. */
  | { readonly state: 'failed'; readonly error: unknown }
