/** One attempt of a request: its end by a timeout or by the caller's signal, and the body of its answer. */

import { Readable } from 'node:stream'

import { bucketErrorOf } from './bucket-aws-error.ts'
import { BucketError } from './bucket.ts'

/** When an attempt ends without an answer. */
export interface AttemptOptions {
  readonly signal?: AbortSignal | undefined
  /** In milliseconds. */
  readonly timeout: number
  /** The request has `If-Match`. */
  readonly isConditional?: boolean
}

/** Runs a request with a signal that ends it, and sorts its error. */
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

/** The body of an answer, which ends by the same signal, or by the timeout between two of its chunks. */
export function openBody(
  source: unknown,
  options: AttemptOptions,
): { readonly body: AsyncIterable<Uint8Array>; readonly cancel: () => void } {
  if (!(source instanceof Readable)) throw new TypeError('expected a stream of Node')
  let isRead = false
  // The connection may break before the first byte is read.
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
  // The time in which the caller does not ask for a chunk is its own.
  let isAsked = true
  const end = (): void => void source.destroy(new Error('the download was ended'))
  const timer = setTimeout(() => {
    if (isAsked) end()
  }, timeout)
  signal?.addEventListener('abort', end, { once: true })
  if (isAborted(signal)) end()
  try {
    for await (const chunk of source) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('expected a stream of bytes')
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
