/** What the client needs of a platform: a transport, which sends requests, and a hash. */

/** Bytes that can be read repeatedly: the part of `Blob` that the client uses. */
export interface BlobLike {
  /** Length in bytes. */
  readonly size: number
  /**
   * Reads all bytes. A chunk is valid until the next one is read, because its memory may be reused.
   */
  stream(): AsyncIterable<Uint8Array>
  /** Reads all bytes into memory. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/**
 * Whether cookies and TLS client certificates are sent, as in `fetch`: never, to the origin of the
 * page, or always. It has no effect outside of browsers.
 */
export type Credentials = 'omit' | 'same-origin' | 'include'

/** One request. */
export interface TransportRequest {
  readonly method: string
  /** Absolute URL. */
  readonly url: string
  readonly headers: Headers
  /** The content as pieces, which are sent one after the other. Empty without content. */
  readonly body: readonly BlobLike[]
  readonly credentials: Credentials | undefined
  /** Aborts the request. */
  readonly signal: AbortSignal
  /**
   * Called whenever bytes move, so that the caller can detect a stall: with the number of content
   * bytes that the network has taken so far, or without an argument when bytes of the answer
   * arrive.
   */
  readonly onMove: (sent?: number) => void
}

/**
 * Sends one request. Resolves with the answer, whatever its status, after its content has arrived,
 * of which a transport may discard everything beyond `MAX_ANSWER` bytes. Rejects if no answer
 * comes, and if the signal aborts.
 */
export type Transport = (request: TransportRequest) => Promise<Response>

/** A running digest: the part of a hash of `node:crypto` that the client uses. */
export interface Hash {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** Returns the digest of all bytes so far. The hash must not be used after that. */
  digest(): Uint8Array
  /** Returns an independent hash that has the same bytes so far. */
  copy(): Hash
}

/** The functions that differ between platforms. */
export interface Platform {
  readonly transport: Transport
  /**
   * Whether the transport shows an answer only after all content was sent, as browsers do. With
   * `node:http` a refusal is seen at once.
   */
  readonly answersLate?: boolean
  /** Creates a running SHA-256. */
  readonly createHash: () => Hash
}

/** Number of bytes of an answer's content that every transport keeps. */
export const MAX_ANSWER = 1024 * 1024

/** Returns the number of bytes of the content. */
export function contentSize(body: readonly BlobLike[]): number {
  return body.reduce((sum, { size }) => sum + size, 0)
}

/**
 * Makes a Response of an answer. Empty content is left out, because the constructor throws for
 * content with a status that can't have any, such as 204. `redirected` is true if the platform has
 * followed a redirection, perhaps with another method: `fetch` follows a 303 with `GET`.
 */
export function toResponse(
  init: { readonly status: number; readonly headers: Headers },
  content: Blob | null,
  redirected: boolean = false,
): Response {
  const response = new Response(content?.size ? content : null, init)
  return Object.defineProperty(response, 'redirected', { value: redirected })
}
