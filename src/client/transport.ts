/** How a request gets to the server: what every transport takes and gives. */

/**
 * Part of a request's content. A `Blob` is one as it is; a platform may know others whose bytes need
 * not be in memory.
 */
export type Piece = Uint8Array | Blob | Streamable

/** Bytes that can be read from the beginning, as often as needed. */
export interface Streamable {
  /** Length in bytes. */
  readonly size: number
  /** Reads all of it. A chunk may be overwritten when the next one is asked for. */
  stream(): AsyncIterable<Uint8Array>
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
  readonly body: readonly Piece[]
  readonly credentials: Credentials
  /** Ends the request when it aborts. */
  readonly signal: AbortSignal
  /** Called with the number of content bytes that the network has taken so far. */
  readonly onProgress: (sent: number) => void
  /** Called whenever bytes of the answer arrive. */
  readonly onAnswer: () => void
}

/**
 * Sends one request and resolves with the answer, whatever its status, once its content has arrived:
 * no transport keeps more than `MAX_ANSWER` bytes of it. Rejects when there is no answer.
 */
export type Transport = (request: TransportRequest) => Promise<Response>

/** A running digest. */
export interface Hash {
  /** Adds bytes. */
  update(bytes: Uint8Array): void
  /** The digest of all bytes so far; ends the hash. */
  digest(): Uint8Array
}

/** What differs from one platform to the next. */
export interface Platform {
  readonly transport: Transport
  /** Makes a running SHA-256. */
  createHash(): Promise<Hash>
}

/** Longest content of an answer that is kept, in bytes. */
export const MAX_ANSWER = 1024 * 1024

/** Length of a piece in bytes. */
export function pieceSize(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.byteLength : piece.size
}

/** Length of content in bytes. */
export function contentSize(body: readonly Piece[]): number {
  return body.reduce((sum, piece) => sum + pieceSize(piece), 0)
}

/** Makes the answer from what has arrived; some statuses can't have content. */
export function toResponse(
  status: number,
  headers: Headers,
  content: readonly Uint8Array[],
): Response {
  const hasContent = content.length > 0 && ![204, 205, 304].includes(status)
  return new Response(hasContent ? blobOf(content) : null, { status, headers })
}

/** Puts pieces together without reading them. Memory that threads share is copied: no Blob takes it. */
export function blobOf(pieces: readonly (Uint8Array | Blob)[]): Blob {
  return new Blob(
    pieces.map((piece) =>
      piece instanceof Blob || isUnshared(piece) ? piece : new Uint8Array(piece),
    ),
  )
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
}
