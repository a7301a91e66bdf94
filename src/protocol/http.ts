/** Requests and responses as plain values, so that the protocol is independent of the HTTP server. */
import type { Hooks } from '../hooks.ts'

/** Request content. Each step gives all chunks that arrived since the last one, at least one. */
export type Body = AsyncIterable<readonly Uint8Array[]>

/** A request as a method receives it. */
export interface HandlerRequest {
  /** The method, in upper case. */
  readonly method: string
  /** The storage key of the target resource. */
  readonly key: string
  /** The owner that the app names for the request; null if it names none. */
  readonly owner: string | null
  /** The request's fields. */
  readonly headers: RequestHeaders
  /**
   * The trailer fields (RFC 9110 §6.5); empty until `body` has ended. Null if the message can't have any.
   */
  readonly trailers: RequestHeaders | null
  /** Length of the content in bytes, as the client announces it; null if unknown before the content ends. */
  readonly contentLength: number | null
  /**
   * The content. Either `body` or `readAll` is used, once. The server sends 100 Continue when reading begins.
   * Chunks that have arrived are yielded before an error is thrown.
   *
   * @throws ConnectionLostError when the connection ends before the content.
   * @throws UploadError `ERR_IDLE` when no bytes arrive for too long.
   */
  readonly body: Body
  /** Reads all content. For content of a known, small length. Throws as `body`. */
  readAll(): Promise<Uint8Array>
  /**
   * Sets the functions that are called when `body` begins to wait for bytes of the client, and when that wait ends.
   * The time in which the server hashes, stores or calls a hook does not count as a wait.
   */
  onWait(begin: () => void, end: () => void): void
  /** Stops `body`: the pending step and every later one throw `reason`. */
  stop(reason: Error): void
  /** Returns a signal that aborts when the connection is closed, for work whose result only the client needs. */
  readonly closeSignal: () => AbortSignal
  /** The hooks of the app, bound to this request. */
  readonly hooks: Hooks
}

/** Field access without regard to case. */
export interface RequestHeaders {
  /** The value, lines of the same name joined by `, ` (RFC 9110 §5.3); null if there is none. */
  get(name: string): string | null
  /** The values line by line, for fields that must not repeat. */
  all(name: string): readonly string[]
}

/** The answer to a request. */
export interface HandlerResponse {
  /** HTTP status. */
  readonly status: number
  /** Fields, by their usual spelling. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * Content; absent for none. Text is sent in one write with the head. An iterable is iterated exactly once, to its
   * end or until its `return`.
   */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

/** The connection was closed before the request had ended, so that no answer can be sent. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}
