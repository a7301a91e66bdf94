/** How a request gets to the server: what every transport takes and gives. */

/** Bytes that can be read from the beginning, as often as needed: as much of a `Blob` as is used. */
export interface BlobLike {
  /** Length in bytes. */
  readonly size: number
  /** Reads all of it. A chunk may be overwritten when the next one is asked for. */
  stream(): AsyncIterable<Uint8Array>
  /** Reads all of it into memory. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** Which cookies and TLS certificates go along, as in `fetch`. Counts in browsers only. */
export type Credentials = 'omit' | 'same-origin' | 'include'

/** One request. */
export interface TransportRequest {
  readonly method: string
  /** Absolute. */
  readonly url: string
  readonly headers: Headers
  /** The content, piece by piece; empty for none. */
  readonly body: readonly BlobLike[]
  readonly credentials: Credentials | undefined
  /** Ends the request when it aborts. */
  readonly signal: AbortSignal
  /**
   * Called whenever bytes move: with the number of content bytes that the network has taken so far,
   * or, when bytes of the answer arrive, with nothing.
   */
  readonly onMove: (sent?: number) => void
}

/**
 * Sends one request and resolves with the answer, whatever its status, once its content has arrived:
 * no transport needs to keep more than `MAX_ANSWER` bytes of it. Rejects when there is no answer.
 */
export type Transport = (request: TransportRequest) => Promise<Response>

/** A running digest. */
export interface Hash {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** The digest of all bytes so far; ends the hash. */
  digest(): Uint8Array
  /** Another hash of the same bytes, which goes its own way from here. */
  copy(): Hash
}

/** What differs from one platform to the next. */
export interface Platform {
  readonly transport: Transport
  /** Whether an answer is seen only after all content was sent, as in browsers. */
  readonly answersLate?: boolean
  /** Makes a running SHA-256. */
  readonly createHash: () => Hash
}

/** Longest content of an answer that is kept, in bytes. */
export const MAX_ANSWER = 1024 * 1024

/** Length of content in bytes. */
export function contentSize(body: readonly BlobLike[]): number {
  return body.reduce((sum, { size }) => sum + size, 0)
}

/**
 * Makes the answer from what has arrived. Some statuses can't have content. `redirected` is true if the
 * request may have been repeated with another method: `fetch` follows a 303 with `GET`.
 */
export function toResponse(
  status: number,
  headers: Headers,
  content: Blob | null,
  redirected: boolean = false,
): Response {
  const response = new Response(content?.size ? content : null, { status, headers })
  return Object.defineProperty(response, 'redirected', { value: redirected })
}
