/**
 * Downloads a resource. After a broken connection it requests the missing bytes with `Range` and
 * `If-Range` (RFC 9110 §13.1.5), so that the server sends the whole resource if it has another
 * version by now.
 */
import { systemClock } from '../client/clock.ts'
import { sha256Of } from '../client/digest.ts'
import { ClientError } from '../client/error.ts'
import type { Progress } from '../client/options.ts'
import { createProgressMeter, type ProgressMeter } from '../client/progress.ts'
import { WANT_DIGEST } from '../client/resource.ts'
import { createRetry } from '../client/retry.ts'
import { DEFAULTS } from '../client/settings.ts'

import type { Destination } from './destination.ts'
import { accept, codingOf } from './download-answer.ts'
import { fetchFile, refusal } from './fetch-file.ts'
import type { Pace } from './pace.ts'
import { startWatch, type Watch } from './stall-watch.ts'

/** Seconds that one request takes with a limited rate. */
const SECONDS_PER_REQUEST = 10
/** Least number of bytes of such a request, below which its header fields would be a large part. */
const LEAST_REQUEST = 64 * 1024

/** What to download, and how. */
export interface Download {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
  /** Longest time without a byte of the answer, in milliseconds; 0 for no limit. */
  readonly timeout: number
  /** Whether to use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
  readonly signal: AbortSignal
  readonly destination: Destination
  /** The limit of the rate; null for none. */
  readonly pace: Pace | null
  readonly onProgress: (progress: Progress) => void
  /**
   * Called before a wait of `delay` milliseconds; with null, before a wait until the device is
   * online.
   */
  readonly onWait: (delay: number | null, error: Error) => void
}

/** What the requests of one download share. */
interface Course {
  /** Whether the server has ever answered. Decides how long to retry. */
  readonly contact: { isMade: boolean }
  /** The length of the file, which the meter of the progress reads; null while it is unknown. */
  readonly measured: { size: number | null }
  readonly meter: ProgressMeter
}

/**
 * Downloads the bytes that the destination does not have yet, and retries after failures. Resolves
 * with the SHA-256 that the bytes were compared with, as `sha-256=:…:`; null if the server has sent
 * none.
 *
 * @throws ClientError for a refusal, for a wrong digest, and for a failure after all `retries`.
 */
export async function download(job: Download): Promise<string | null> {
  const { destination, signal, retries, wait, onWait, onProgress } = job
  const contact = { isMade: false }
  const measured: Course['measured'] = { size: null }
  const meter = createProgressMeter(systemClock, measured, onProgress)
  const retry = createRetry({
    ...DEFAULTS,
    retries,
    waitForServer: wait,
    contact,
    clock: systemClock,
  })
  for (;;) {
    signal.throwIfAborted()
    try {
      const result = await attempt(job, { contact, measured, meter })
      if (result.isComplete) return result.digest
    } catch (error) {
      signal.throwIfAborted()
      retry.reached(destination.position)
      await retry.wait(error, signal, onWait)
    }
  }
}

/**
 * The result of a request: whether the file is complete, and the digest that it was compared with.
 */
type Result =
  { readonly isComplete: false } | { readonly isComplete: true; readonly digest: string | null }

/** Sends one request, and writes its answer to the destination. */
async function attempt(job: Download, { contact, measured, meter }: Course): Promise<Result> {
  const { destination, signal, timeout } = job
  const watch = startWatch(signal, timeout)
  try {
    const response = await ask(job, watch.signal)
    contact.isMade = true
    const { size, end } = await accept(response, destination)
    measured.size = size
    meter.start(destination.position)
    const isCut = await receive(response, job, watch, meter)
    if (isCut) return { isComplete: false }
    if (end !== null && destination.position !== end) {
      throw broken('the answer was shorter or longer than its Content-Length')
    }
    // A server may send less than was asked for, and the next request asks for the rest.
    if (size !== null && destination.position < size) return { isComplete: false }
    return { isComplete: true, digest: await verify(response, destination) }
  } catch (cause) {
    signal.throwIfAborted()
    if (watch.hasStalled()) {
      throw new ClientError('ERR_STALL', 'GET got no byte for too long', { transient: true, cause })
    }
    // `fetch` rejects with a TypeError for every failure of the connection, which a retry may
    // overcome.
    throw cause instanceof TypeError ? broken('the connection broke', cause) : cause
  } finally {
    watch.stop()
  }
}

/**
 * Compares the downloaded bytes with the `Repr-Digest` of the answer (RFC 9530 §3). Returns the
 * digest, or null if the answer has none.
 *
 * @throws ClientError if the digests differ. The bytes are discarded.
 */
async function verify(response: Response, destination: Destination): Promise<string | null> {
  const { headers } = response
  const digest = sha256Of(headers.get('repr-digest'))
  // The digest covers the bytes with their content coding, while the destination has the decoded
  // ones.
  if (digest === null || codingOf(headers) !== '') return null
  if (digest === (await destination.digest())) return digest
  await destination.discard()
  throw refusal('the bytes do not match the digest that the server sent', response)
}

function broken(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_NETWORK', message, { transient: true, cause })
}

/** Requests the missing bytes, or the whole file if there is nothing to continue. */
async function ask(
  { url, headers, destination, pace }: Download,
  signal: AbortSignal,
): Promise<Response> {
  const { version, position } = destination
  const size = version?.size ?? Infinity
  // If no byte is missing, the last byte is requested again. The answer shows whether the
  // downloaded version still is the current one.
  const start = Math.min(position, size - 1)
  const etag = version?.etag ?? null
  const isRest = etag !== null && start > 0
  if (isRest) destination.rewind(start)
  const end = Math.min(size, start + requestSize(pace))
  const isLast = !isRest || end >= size
  const range = isRest ? { Range: `bytes=${start}-${isLast ? '' : end - 1}`, 'If-Range': etag } : {}
  // Only the last answer is compared with a digest. To compute one the server reads the whole file.
  const wanted = isLast ? WANT_DIGEST : {}
  // A compressed answer has other bytes at other positions, so that it can't be continued.
  const fields = { ...headers, 'Accept-Encoding': 'identity', ...wanted, ...range }
  return fetchFile(url, new Headers(fields), signal)
}

/**
 * Returns the number of bytes to ask for at once. With a limited rate the command must not ask for
 * all of them: they would fill the buffers of both systems, which hold megabytes, and then the
 * server could not write for minutes. It would abort the answer as that of a client that reads
 * nothing. A part is written to its end within `SECONDS_PER_REQUEST`.
 */
function requestSize(pace: Pace | null): number {
  return pace === null ? Infinity : Math.max(LEAST_REQUEST, pace.rate * SECONDS_PER_REQUEST)
}

/**
 * Writes the content of the answer to the destination. Resolves with true if it has stopped before
 * the end, because the answer has more bytes than one request should have with a limited rate.
 */
async function receive(
  { body }: Response,
  { destination, pace, signal }: Download,
  watch: Watch,
  meter: ProgressMeter,
): Promise<boolean> {
  if (body === null) return false
  const limit = destination.position + requestSize(pace)
  const chunks: AsyncIterable<Uint8Array> = body
  for await (const chunk of chunks) {
    // The timer stops during the write, because a slow reader of the standard output is not a
    // stall.
    watch.rest()
    await destination.write(chunk)
    await pace?.take(chunk.byteLength, signal)
    meter.move(destination.position)
    watch.note()
    if (destination.position > limit && canContinue(destination)) return true
  }
  return false
}

/** Whether a further request can continue after the bytes so far. */
function canContinue({ version, position }: Destination): boolean {
  return version !== null && version.etag !== null && position < (version.size ?? Infinity)
}
