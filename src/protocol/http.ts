/** A request and its response as plain values, between the server that is used and the protocol. */
import type { Hooks } from '../hooks.ts'

/** Request content. Each step gives all chunks that arrived since the last one, at least one. */
export type Body = AsyncIterable<readonly Uint8Array[]>

/** What a method gets to know of a request. */
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
   * The fields after the content (RFC 9110 §6.5), none before `body` has ended. Null if the message can't
   * have any.
   */
  readonly trailers: RequestHeaders | null
  /** Bytes of content that the client announces; null if only the end of the message shows the length. */
  readonly contentLength: number | null
  /**
   * The content; either it or `readAll` is used, once. The server says 100 Continue when reading
   * begins. Chunks that arrived are given out before an error is thrown.
   *
   * @throws ConnectionLostError when the client goes away before the content has ended.
   * @throws UploadError `ERR_IDLE` when the client falls silent.
   */
  readonly body: Body
  /** Reads content of a known, small length whole. Throws as `body`. */
  readAll(): Promise<Uint8Array>
  /**
   * Sets what is called when `body` begins to wait for the client, because nothing more has arrived, and when
   * that wait ends. The time in which the server hashes, stores or asks the app is no part of it.
   */
  onWait(begin: () => void, end: () => void): void
  /** Ends `body`: the step that is waited for, and every later one, throws `reason`. */
  stop(reason: Error): void
  /** A signal that aborts when the connection is closed, for work whose result only the client needs. */
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
   * Content; absent for none. Text goes out in one write with the head. An iterable is read to its end
   * or returned early, exactly once.
   */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

/** The client closed the connection before its request had ended, so that no answer can be sent. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}
