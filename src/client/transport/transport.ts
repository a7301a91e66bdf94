/** The interface of the transports, which send a request to the server. */

/** Bytes that can be read repeatedly: the part of `Blob` that is used. */
export interface BlobLike {
  /** Length in bytes. */
  readonly size: number
  /** Reads all bytes. The memory of a chunk may be reused for the next one. */
  stream(): AsyncIterable<Uint8Array>
  /** Reads all bytes into memory. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** Whether cookies and TLS client certificates are sent, as in `fetch`. Has an effect in browsers only. */
export type Credentials = 'omit' | 'same-origin' | 'include'

/** One request. */
export interface TransportRequest {
  readonly method: string
  /** Absolute. */
  readonly url: string
  readonly headers: Headers
  /** The content in pieces; empty without content. */
  readonly body: readonly BlobLike[]
  readonly credentials: Credentials | undefined
  /** Ends the request when it aborts. */
  readonly signal: AbortSignal
  /**
   * Called whenever bytes move: with the number of content bytes that the network has taken so far, and
   * without an argument when bytes of the answer arrive.
   */
  readonly onMove: (sent?: number) => void
}

/**
 * Sends one request and resolves with the answer, whatever its status, after its content has arrived. A
 * transport may cut the content off after `MAX_ANSWER` bytes. Rejects if no answer comes.
 */
export type Transport = (request: TransportRequest) => Promise<Response>

/** A running digest. */
export interface Hash {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** The digest of all bytes so far; ends the hash. */
  digest(): Uint8Array
  /** An independent hash of the same bytes. */
  copy(): Hash
}

/** Functions that differ between platforms. */
export interface Platform {
  readonly transport: Transport
  /** Whether an answer is seen only after all content was sent, as in browsers. */
  readonly answersLate?: boolean
  /** Makes a running SHA-256. */
  readonly createHash: () => Hash
}

/** Longest content of an answer that a transport has to keep, in bytes. */
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
  init: { readonly status: number; readonly headers: Headers },
  content: Blob | null,
  redirected: boolean = false,
): Response {
  const response = new Response(content?.size ? content : null, init)
  return Object.defineProperty(response, 'redirected', { value: redirected })
}
