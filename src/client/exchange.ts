/** One request and its answer, under the watch of a timer. */
import { abortable, listen, systemClock, type Clock } from './clock.ts'
import { ClientError } from './error.ts'
import type { Fields } from './message.ts'
import type { RequestOptions } from './options.ts'
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
export interface Connection extends RequestOptions, Platform {
  /** Absolute. */
  readonly url: string
  /** Ends what is under way. */
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** In browsers a relative URL is one of the page's. */
declare const location: { readonly href: string } | undefined

/**
 * Puts together what every request to `url` needs.
 *
 * @throws TypeError for a URL or an option that is none.
 */
export function connect(
  url: string | URL,
  options: RequestOptions,
  platform: Platform,
): Connection {
  for (const [name, value] of Object.entries(options)) {
    const isNumber = typeof value === 'number'
    if (isNumber && !(value >= 0)) throw new TypeError(`${name} is ${value}, expected >= 0`)
  }
  const base = typeof location === 'undefined' ? undefined : location.href
  const { signal = new AbortController().signal, clock = systemClock } = options
  return { ...options, ...platform, url: new URL(url, base).href, signal, clock }
}

/**
 * Sends a request and resolves with the answer, whatever its status.
 *
 * @throws ClientError `ERR_NETWORK` or `ERR_STALL`; `ERR_SOURCE` when the content can't be read.
 */
export async function exchange(
  connection: Connection,
  { method, headers = {}, body = [], onProgress }: Message,
): Promise<Response> {
  const { url, signal, clock, credentials, headers: own } = connection
  const { stallTimeout = 30_000, answerTimeout = 300_000 } = connection
  const fields = new Headers(await abortable(typeof own === 'function' ? own() : own, signal))
  for (const [name, value] of Object.entries(headers)) if (value) fields.set(name, value)
  const watch = new AbortController()
  const end = (): void => watch.abort()
  const size = contentSize(body)
  let limit = stallTimeout
  let stop = (): void => undefined

  function onMove(sent?: number): void {
    // A transport may still report what it had under way when the request failed.
    if (watch.signal.aborted) return
    stop()
    // With all content sent, the silence is the server's: it may have a large file to check.
    if (sent === size) limit = answerTimeout
    if (limit > 0) stop = clock.after(limit, end)
    if (sent !== undefined) onProgress?.(sent)
  }

  const release = listen(signal, 'abort', end)
  onMove()
  try {
    return await connection.transport({
      method,
      url,
      headers: fields,
      body,
      credentials,
      signal: watch.signal,
      onMove,
    })
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
