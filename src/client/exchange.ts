/** Sends one request and awaits its answer, with time limits. */
import { abortable } from './clock.ts'
import { ClientError } from './error.ts'
import type { Fields } from './message.ts'
import type { RequestOptions } from './options.ts'
import { scope } from './scope.ts'
import { applyDefaults, REQUEST, type Defaults } from './settings.ts'
import {
  contentSize,
  type BlobLike,
  type Platform,
  type TransportRequest,
} from './transport/transport.ts'

/** One request. */
export interface Message {
  readonly method: string
  /** Fields of this request. They replace fields of the same name from the caller's options. */
  readonly headers?: Fields | undefined
  /** The content, as pieces that are sent one after the other. Missing or empty without content. */
  readonly body?: readonly BlobLike[]
  /** Called with the number of content bytes that the network has taken so far. */
  readonly onProgress?: (sent: number) => void
}

/** What all requests of one call share: its options, the platform's functions and the URL. */
export interface Connection extends Omit<RequestOptions, keyof Defaults>, Defaults, Platform {
  /** Absolute URL. */
  readonly url: string
  /** Aborts with the signal of the caller, after `abort()`, and when a callback throws. */
  readonly signal: AbortSignal
  /** Aborts `signal`, and removes the listener from the signal of the caller. */
  readonly abort: () => void
  /**
   * Whether the server has ever answered, or taken a byte of content. Decides how long to retry.
   */
  readonly contact: { isMade: boolean }
  /**
   * Wraps a callback of the app. It is called in a microtask, because an exception inside the
   * transport would look like a failed request and be retried. An exception aborts `signal` with
   * the error instead, so that the call ends and rejects with it.
   */
  readonly guard: <T>(callback: ((value: T) => void) | undefined) => (value: T) => void
}

/**
 * Checks the options and prepares the requests to `url`, without sending one. `table` lists the
 * options of the call, as `settings.ts` describes.
 *
 * @throws TypeError for a wrong URL, an unknown option and a value out of range.
 */
export function connect(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
  table: object = REQUEST,
): Connection {
  const settings = applyDefaults(table, options)
  const { signal } = options
  const control = new AbortController()
  const abort = (): void => control.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { signal: control.signal })
  if (signal?.aborted) abort()

  return {
    ...settings,
    ...platform,
    url: new URL(url, scope.location?.href).href,
    signal: control.signal,
    abort,
    contact: { isMade: false },
    guard: (callback) => (value) =>
      queueMicrotask(() => {
        try {
          callback?.(value)
        } catch (error) {
          control.abort(error)
        }
      }),
  }
}

/**
 * Sends a request and resolves with the answer, whatever its status. After a 401 it sends the
 * request once more if a function supplies the fields, because a token may have expired.
 *
 * @throws ClientError `ERR_NETWORK` or `ERR_STALL` if no answer comes, and `ERR_SOURCE` if the
 * content can't be read.
 */
export async function exchange(connection: Connection, message: Message): Promise<Response> {
  const response = await send(connection, message)
  const { headers, onBeforeRequest } = connection
  const canRenew = onBeforeRequest ?? typeof headers === 'function'
  return response.status === 401 && canRenew ? send(connection, message) : response
}

/** Sends a request once. */
async function send(connection: Connection, message: Message): Promise<Response> {
  const { signal, clock, credentials, contact, stallTimeout, answerTimeout } = connection
  const { body = [], onProgress } = message
  const request = await prepare(connection, message)
  const watch = new AbortController()
  const end = (): void => watch.abort()
  const size = contentSize(body)
  // To answer with a digest the server may have to read a large file, during which no byte moves.
  let limit = request.headers.has('Want-Repr-Digest') ? answerTimeout : stallTimeout
  let stop = (): void => undefined

  /**
   * Starts the time limit anew. `sent` is the number of content bytes sent, if that has changed.
   */
  function onMove(sent?: number): void {
    // A transport may still report progress after the request has failed. The timer must not
    // restart.
    if (watch.signal.aborted) return
    stop()
    if (sent) contact.isMade = true
    // After all content was sent, the server may have to read a large file to verify its digest.
    if (sent === size) limit = answerTimeout
    if (limit > 0) stop = clock.after(limit, end)
    if (sent !== undefined) onProgress?.(sent)
  }

  signal.addEventListener('abort', end, { signal: watch.signal })
  onMove()
  try {
    const own = { ...request, body, credentials, signal: watch.signal, onMove }
    const response = await connection.transport(own)
    contact.isMade = true
    return response
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ClientError) throw cause
    const code = watch.signal.aborted ? 'ERR_STALL' : 'ERR_NETWORK'
    throw new ClientError(code, `${message.method} got no answer`, { transient: true, cause })
  } finally {
    stop()
    end()
  }
}

/** Makes the header of a request. A hook of the app may change its fields. */
async function prepare(
  connection: Connection,
  { method, headers = {} }: Message,
): Promise<Pick<TransportRequest, 'method' | 'url' | 'headers'>> {
  const { url, signal, headers: common } = connection
  const fields = new Headers(
    await abortable(typeof common === 'function' ? common() : common, signal),
  )
  for (const [name, value] of Object.entries(headers)) if (value) fields.set(name, value)
  const request = { method, url, headers: fields }
  await abortable(connection.onBeforeRequest?.(request), signal)
  return request
}
