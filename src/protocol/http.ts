/**
 * Requests and responses as plain values. The protocol uses only these, so that it does not depend
 * on Node's HTTP/1.1 and HTTP/2 classes, and can be tested without a socket.
 */
import type { Hooks } from '../hooks.ts'

/**
 * The content of a request. Each step yields the chunks that have arrived since the last step, at
 * least one.
 */
export type Body = AsyncIterable<readonly Uint8Array[]>

/** A request as a method receives it. */
export interface HandlerRequest {
  /** The method, in upper case. */
  readonly method: string
  /** The storage key of the target resource. */
  readonly key: string
  /** The owner that the option `owner` returned for the request; null if none. */
  readonly owner: string | null
  /** The fields of the header section. */
  readonly headers: RequestHeaders
  /**
   * The fields of the trailer section (RFC 9110 §6.5), which is empty until `body` has ended. Null
   * if the message can't have one.
   */
  readonly trailers: RequestHeaders | null
  /**
   * Length of the content in bytes, as the client announces it; null if unknown before the content
   * ends.
   */
  readonly contentLength: number | null
  /**
   * The content. Either `body` or `readAll` is used, and only once. The server sends 100 Continue
   * when reading begins. If the content ends early, the chunks that have arrived are yielded before
   * the error is thrown.
   *
   * @throws ConnectionLostError when the connection ends before the content.
   * @throws UploadError `ERR_IDLE` or `ERR_TOO_SLOW` for a client that sends nothing or too slowly,
   * and the reason that was passed to `stop`.
   */
  readonly body: Body
  /**
   * Reads all content into memory, so it is for content of a known, small length. Throws as `body`.
   */
  readAll(): Promise<Uint8Array>
  /**
   * Sets the functions that are called when `body` begins to wait for bytes of the client, and when
   * that wait ends. The time in which the server hashes, stores or calls a hook does not count as a
   * wait.
   */
  onWait(begin: () => void, end: () => void): void
  /** Ends `body` early: after the chunks that have arrived it throws `reason`. */
  stop(reason: Error): void
  /**
   * Returns a signal that aborts when the connection is closed, for work whose result only the
   * client needs.
   */
  readonly closeSignal: () => AbortSignal
  /** The hooks of the app, bound to this request. */
  readonly hooks: Hooks
}

/** The fields of a header or trailer section. Names are passed in lower case. */
export interface RequestHeaders {
  /**
   * Returns the value, with the lines of the same name joined by `, ` (RFC 9110 §5.3); null if
   * there is none.
   */
  get(name: string): string | null
  /** Returns the value of each line, for fields that must not repeat; empty if there is none. */
  all(name: string): readonly string[]
}

/** The answer to a request. */
export interface HandlerResponse {
  /** HTTP status. */
  readonly status: number
  /** Fields, by their usual spelling. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * The content; left out for none. Text and bytes get a `Content-Length`. An iterable is iterated
   * once, to its end or until its `return` is called.
   */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

/** The connection was closed before the request had ended, so that no answer can be sent. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}
