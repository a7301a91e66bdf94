/** One request and its answer, under the watch of a timer. */
import { abortable, listen, systemClock, type Clock } from './clock.ts'
import { ClientError } from './error.ts'
import type { Fields } from './message.ts'
import type { RequestOptions } from './options.ts'
import { checkOptions, DEFAULTS, type Call, type Defaults } from './settings.ts'
import { contentSize, type Piece, type Platform } from './transport/transport.ts'

/** What is sent. */
export interface Message {
  readonly method: string
  /** Fields beside those of the caller, which they replace. */
  readonly headers?: Fields
  /** The content. */
  readonly body?: readonly Piece[]
  /** Called with the number of content bytes that the network has taken. */
  readonly onProgress?: (sent: number) => void
}

/** What it takes to talk about one resource. */
export interface Connection extends Omit<RequestOptions, keyof Defaults>, Defaults, Platform {
  /** Absolute. */
  readonly url: string
  /** Ends what is under way. */
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Whether the server has ever answered, or taken a byte. */
  readonly contact: { isMade: boolean }
  /** Makes a callback safe: an exception of it ends the call, because `signal` aborts with it. */
  readonly guard: <T>(callback: ((value: T) => void) | undefined) => (value: T) => void
  /** Leaves the caller's signal as it was. */
  readonly release: () => void
}

/** In browsers a relative URL is one of the page's. */
declare const location: { readonly href: string } | undefined

/**
 * Puts together what every request to `url` needs.
 *
 * @throws TypeError for a wrong URL, and for an option that is unknown or wrong.
 */
export function connect(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
  call: Call = 'request',
): Connection {
  checkOptions(call, options)
  const base = typeof location === 'undefined' ? undefined : location.href
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const { signal, clock = systemClock } = options
  const control = new AbortController()
  const abort = (): void => control.abort(signal?.reason)
  const release = signal ? listen(signal, 'abort', abort) : () => undefined
  if (signal?.aborted) abort()

  function guard<T>(callback: ((value: T) => void) | undefined): (value: T) => void {
    return (value) => {
      try {
        callback?.(value)
      } catch (error) {
        control.abort(error)
      }
    }
  }

  return {
    ...DEFAULTS,
    ...Object.fromEntries(given),
    ...platform,
    url: new URL(url, base).href,
    signal: control.signal,
    clock,
    contact: { isMade: false },
    guard,
    release,
  }
}

/**
 * Sends a request and resolves with the answer, whatever its status. After a 401 the caller's
 * function for headers is asked once more: its token may have expired.
 *
 * @throws ClientError `ERR_NETWORK` or `ERR_STALL`; `ERR_SOURCE` when the content can't be read.
 */
export async function exchange(connection: Connection, message: Message): Promise<Response> {
  const response = await send(connection, message)
  const canRenew = response.status === 401 && typeof connection.headers === 'function'
  return canRenew ? send(connection, message) : response
}

async function send(
  connection: Connection,
  { method, headers = {}, body = [], onProgress }: Message,
): Promise<Response> {
  const { url, signal, clock, credentials, headers: own, contact } = connection
  const { stallTimeout, answerTimeout } = connection
  const fields = new Headers(await abortable(typeof own === 'function' ? own() : own, signal))
  for (const [name, value] of Object.entries(headers)) if (value) fields.set(name, value)
  const watch = new AbortController()
  const end = (): void => watch.abort()
  const size = contentSize(body)
  // To answer with a digest the server may have to read a large file.
  let limit = fields.has('Want-Repr-Digest') ? Math.max(stallTimeout, answerTimeout) : stallTimeout
  let stop = (): void => undefined

  function onMove(sent?: number): void {
    // A transport may still report what it had under way when the request failed.
    if (watch.signal.aborted) return
    stop()
    if (sent) contact.isMade = true
    // With all content sent, the silence is the server's: it may have a large file to check.
    if (sent === size) limit = answerTimeout
    if (limit > 0) stop = clock.after(limit, end)
    if (sent !== undefined) onProgress?.(sent)
  }

  const release = listen(signal, 'abort', end)
  onMove()
  try {
    const message = { method, url, headers: fields, body, credentials }
    const response = await connection.transport({ ...message, signal: watch.signal, onMove })
    contact.isMade = true
    return response
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ClientError) throw cause
    const code = watch.signal.aborted ? 'ERR_STALL' : 'ERR_NETWORK'
    throw new ClientError(code, `${method} got no answer`, { transient: true, cause })
  } finally {
    release()
    stop()
    end()
  }
}
