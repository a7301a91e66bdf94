/** One request and its answer, under the watch of a timer. */
import { ClientError } from './error.ts'
import type { RequestSettings } from './options.ts'
import { contentSize, type Piece, type Platform } from './transport.ts'

/** What is sent. */
export interface Message {
  readonly method: string
  /** Fields beside those of the caller. */
  readonly headers?: Readonly<Record<string, string>>
  /** The content. */
  readonly body?: readonly Piece[]
  readonly signal: AbortSignal
  /** Called with the number of content bytes that the network has taken. */
  readonly onProgress?: (sent: number) => void
}

/** What it takes to talk about one resource. */
export interface Connection {
  /** Absolute. */
  readonly url: string
  readonly settings: RequestSettings
  readonly platform: Platform
}

/** In browsers a relative URL is one of the page's. */
declare const location: { readonly href: string } | undefined

/**
 * Puts together what every request to `url` needs.
 *
 * @throws TypeError for a URL that is none.
 */
export function connect(
  url: string | URL,
  settings: RequestSettings,
  platform: Platform,
): Connection {
  const base = typeof location === 'undefined' ? undefined : location.href
  return { url: new URL(url, base).href, settings, platform }
}

/**
 * Sends a request and resolves with the answer, whatever its status.
 *
 * @throws ClientError `ERR_NETWORK` or `ERR_STALL`; `ERR_SOURCE` when the content can't be read.
 */
export async function exchange(
  { url, settings, platform }: Connection,
  { method, headers = {}, body = [], signal, onProgress }: Message,
): Promise<Response> {
  const own = typeof settings.headers === 'function' ? await settings.headers() : settings.headers
  const fields = new Headers({ ...own, ...headers })
  signal.throwIfAborted()
  const watch = startWatch(settings, contentSize(body))
  signal.addEventListener('abort', watch.end)
  try {
    return await platform.transport({
      method,
      url,
      headers: fields,
      body,
      credentials: settings.credentials,
      signal: watch.signal,
      onProgress: (sent) => {
        if (watch.note(sent)) onProgress?.(sent)
      },
      onAnswer: () => void watch.note(),
    })
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ClientError) throw cause
    const options = { transient: true, cause }
    if (watch.signal.aborted) throw new ClientError('ERR_STALL', `${method} stood still`, options)
    throw new ClientError('ERR_NETWORK', `${method} got no answer`, options)
  } finally {
    signal.removeEventListener('abort', watch.end)
    watch.stop()
  }
}

interface Watch {
  /** Aborts when nothing has moved for too long. */
  readonly signal: AbortSignal
  /** Something moved: so much content is sent, if that was it. False when the watch has ended. */
  readonly note: (sent?: number) => boolean
  /** Ends the request. */
  readonly end: () => void
  /** Ends the watch. */
  readonly stop: () => void
}

function startWatch({ clock, stallTimeout, answerTimeout }: RequestSettings, size: number): Watch {
  const controller = new AbortController()
  const end = (): void => controller.abort()
  let limit = stallTimeout
  let isOver = false
  let stop = (): void => undefined

  function note(sent?: number): boolean {
    // A transport may still report what it had under way when the request failed.
    if (isOver) return false
    stop()
    // With all content sent, the silence is the server's: it may have a large file to check.
    if (sent === size) limit = answerTimeout
    if (limit > 0) stop = clock.after(limit, end)
    return true
  }

  note()
  return {
    signal: controller.signal,
    note,
    end,
    stop: () => {
      isOver = true
      stop()
    },
  }
}
