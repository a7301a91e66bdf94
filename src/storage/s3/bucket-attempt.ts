/**
 * Makes one attempt of a request, which a timeout or the signal of the caller aborts, and reads the
 * body of its answer.
 */

import { Readable } from 'node:stream'

import { bucketErrorOf } from './bucket-aws-error.ts'
import { BucketError } from './bucket.ts'

/** When an attempt is aborted, and how its failure is classified. */
export interface AttemptOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * Longest wait for the answer, and for each chunk of its body, in milliseconds. Beyond it:
   * `unavailable`.
   */
  readonly timeout: number
  /** Whether the request has `If-Match`: see `bucketErrorOf`. @default false */
  readonly isConditional?: boolean
}

/**
 * Runs a request with a signal that aborts it.
 *
 * @throws BucketError for every failure: `aborted` by the caller's signal, otherwise see
 * `bucketErrorOf`.
 */
export async function attempt<T>(
  { signal, timeout, isConditional = false }: AttemptOptions,
  request: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (isAborted(signal)) throw new BucketError('aborted', null)
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  const timer = setTimeout(abort, timeout)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await request(controller.signal)
  } catch (error) {
    if (isAborted(signal)) throw new BucketError('aborted', null, { cause: error })
    throw bucketErrorOf(error, isConditional)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * Opens the body of an answer. It fails with `aborted` when the caller's signal aborts, and with
 * `unavailable` when the next chunk takes longer than the timeout.
 */
export function openBody(
  source: unknown,
  options: AttemptOptions,
): { readonly body: AsyncIterable<Uint8Array>; readonly cancel: () => void } {
  if (!(source instanceof Readable))
    throw new TypeError('the S3 client returned a body that is not a Node stream')
  let isRead = false
  // The connection may break before the iteration begins, and Node ends a process in which an
  // `error` event has no listener.
  source.on('error', () => undefined)
  return {
    body: {
      [Symbol.asyncIterator]() {
        isRead = true
        return readBody(source, options)
      },
    },
    cancel() {
      if (!isRead) source.destroy()
    },
  }
}

async function* readBody(
  source: Readable,
  { signal, timeout }: AttemptOptions,
): AsyncGenerator<Uint8Array> {
  // The timeout counts only while the caller waits for a chunk. A caller that is slow itself must
  // not make the download fail.
  let isAsked = true
  const end = (): void => void source.destroy(new Error('the download was ended'))
  const timer = setTimeout(() => {
    if (isAsked) end()
  }, timeout)
  signal?.addEventListener('abort', end, { once: true })
  if (isAborted(signal)) end()
  try {
    for await (const chunk of source) {
      if (!(chunk instanceof Uint8Array))
        throw new TypeError('the S3 client returned a body that is not a stream of bytes')
      isAsked = false
      yield chunk
      isAsked = true
      timer.refresh()
    }
  } catch (error) {
    if (isAborted(signal)) throw new BucketError('aborted', null, { cause: error })
    throw new BucketError('unavailable', null, { cause: error })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
