/** A request and its response as plain values, between the server that is used and the protocol. */

/** Request content. Each step gives all chunks that arrived since the last one, at least one. */
export type Body = AsyncIterable<readonly Uint8Array[]>

/** What a method gets to know of a request. */
export interface HandlerRequest {
  /** The method, in upper case. */
  readonly method: string
  /** The storage key of the target resource. */
  readonly key: string
  /** The request's fields. */
  readonly headers: RequestHeaders
  /** The content, read once at most. The server says 100 Continue when reading begins. */
  readonly body: Body
  /** Reads the content whole: for small content that is useless in part. */
  readAll(): Promise<Uint8Array>
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
  /** Content; absent for none. An iterable is read to its end or returned early, exactly once. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}
