/** One request and its answer, with time limits. */
import { abortable } from './clock.ts'
import { ClientError } from './error.ts'
import type { Fields } from './message.ts'
import type { RequestOptions } from './options.ts'
import { scope } from './scope.ts'
import { applyDefaults, REQUEST, type Defaults } from './settings.ts'
import { contentSize, type BlobLike, type Platform } from './transport/transport.ts'

/** One request. */
export interface Message {
  readonly method: string
  /** Fields that are sent besides those of the caller, which they replace. */
  readonly headers?: Fields
  /** The content. */
  readonly body?: readonly BlobLike[]
  /** Called with the number of content bytes that the network has taken so far. */
  readonly onProgress?: (sent: number) => void
}

/** Values that all requests of one call share. */
export interface Connection extends Omit<RequestOptions, keyof Defaults>, Defaults, Platform {
  /** Absolute. */
  readonly url: string
  /** Aborts with the signal of the caller, and when a callback throws. */
  readonly signal: AbortSignal
  /** Ends the call: `signal` aborts, and the signal of the caller is not listened to any more. */
  readonly abort: () => void
  /** Whether the server has ever answered, or taken a byte of content. */
  readonly contact: { isMade: boolean }
  /**
   * Wraps a callback, and calls it in a microtask, so that an exception does not fail the request under
   * way. It ends the call instead, because `signal` aborts with it.
   */
  readonly guard: <T>(callback: ((value: T) => void) | undefined) => (value: T) => void
}

/**
 * Collects the values that every request to `url` needs. `table` has the options of the call.
 *
 * @throws TypeError for a wrong URL, and for an option that is unknown or wrong.
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

  function guard<T>(callback: ((value: T) => void) | undefined): (value: T) => void {
    return (value) =>
      queueMicrotask(() => {
        try {
          callback?.(value)
        } catch (error) {
          control.abort(error)
        }
      })
  }

  return {
    ...settings,
    ...platform,
    url: new URL(url, scope.location?.href).href,
    signal: control.signal,
    abort,
    contact: { isMade: false },
    guard,
  }
}

/**
 * Sends a request and resolves with the answer, whatever its status. After a 401 the request is sent
 * once more if a function sets its fields, because a token may have expired.
 *
 * @throws ClientError `ERR_NETWORK` or `ERR_STALL`; `ERR_SOURCE` if the content can't be read.
 */
export async function exchange(connection: Connection, message: Message): Promise<Response> {
  const response = await send(connection, message)
  const { headers, onBeforeRequest } = connection
  const canRenew = onBeforeRequest ?? typeof headers === 'function'
  return response.status === 401 && canRenew ? send(connection, message) : response
}

async function send(
  connection: Connection,
  { method, headers = {}, body = [], onProgress }: Message,
): Promise<Response> {
  const { url, signal, clock, credentials, headers: own, contact } = connection
  const { stallTimeout, answerTimeout } = connection
  const fields = new Headers(await abortable(typeof own === 'function' ? own() : own, signal))
  for (const [name, value] of Object.entries(headers)) if (value) fields.set(name, value)
  const request = { method, url, headers: fields }
  await abortable(connection.onBeforeRequest?.(request), signal)
  const watch = new AbortController()
  const end = (): void => watch.abort()
  const size = contentSize(body)
  // The server may have to read a large file before it can answer with a digest.
  let limit = fields.has('Want-Repr-Digest') ? Math.max(stallTimeout, answerTimeout) : stallTimeout
  let stop = (): void => undefined

  function onMove(sent?: number): void {
    // A transport may report progress after the request has failed.
    if (watch.signal.aborted) return
    stop()
    if (sent) contact.isMade = true
    // All content is sent. The server may have to verify a large file before it answers.
    if (sent === size) limit = answerTimeout
    if (limit > 0) stop = clock.after(limit, end)
    if (sent !== undefined) onProgress?.(sent)
  }

  signal.addEventListener('abort', end, { signal: watch.signal })
  onMove()
  try {
    const response = await connection.transport({
      ...request,
      body,
      credentials,
      signal: watch.signal,
      onMove,
    })
    contact.isMade = true
    return response
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ClientError) throw cause
    const code = watch.signal.aborted ? 'ERR_STALL' : 'ERR_NETWORK'
    throw new ClientError(code, `${method} got no answer`, { transient: true, cause })
  } finally {
    stop()
    end()
  }
}
