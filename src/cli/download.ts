/**
 * Downloads a resource. After a broken connection it requests the missing bytes with `Range` and
 * `If-Range` (RFC 9110 §13.1.5), so that the server sends the whole resource if it has another version
 * by now.
 */
import { systemClock } from '../client/clock.ts'
import { isMissing, responseError, strongTag } from '../client/answer.ts'
import { sha256Of } from '../client/digest.ts'
import { ClientError } from '../client/error.ts'
import type { Progress } from '../client/options.ts'
import { createProgressMeter, type ProgressMeter } from '../client/progress.ts'
import { WANT_DIGEST } from '../client/resource.ts'
import { createRetry } from '../client/retry.ts'
import { DEFAULTS } from '../client/settings.ts'

import { fetchFile, refusal } from './fetch-file.ts'

/** Longest time without a byte of the answer, in milliseconds. Beyond it the request is retried. */
const STALL_TIMEOUT = 30_000

/** The version of a resource that is downloaded. */
export interface Version {
  /** Strong entity tag. Null if the server sends none, in which case the download can't be resumed. */
  readonly etag: string | null
  /** Length in bytes; null if the server does not send it. */
  readonly size: number | null
}

/** Where a download is written to. */
export interface Destination {
  /** The version that the written bytes belong to; null if they can't be continued. */
  readonly version: Version | null
  /** Number of bytes that were written, and position of the next one. */
  readonly position: number
  /** Discards what was written, and starts with the first byte of a version. */
  begin(version: Version): Promise<void>
  /** Sets the position. The next bytes overwrite those after it. */
  rewind(position: number): void
  /** Writes bytes at the position, and moves it behind them. */
  write(bytes: Uint8Array): Promise<void>
  /** Returns the SHA-256 of all bytes before the position, as `sha-256=:…:`. */
  digest(): Promise<string>
  /** Discards the bytes, because their digest is wrong. */
  discard(): Promise<void>
}

/** What to download, and how. */
export interface Download {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
  /** Whether to use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
  readonly signal: AbortSignal
  readonly destination: Destination
  readonly onProgress: (progress: Progress) => void
  /** Called before a wait of `delay` milliseconds; with null, before a wait until the device is online. */
  readonly onWait: (delay: number | null, error: Error) => void
}

/**
 * Downloads the bytes that the destination does not have yet, and retries after failures.
 *
 * @throws ClientError for a refusal, for a wrong digest, and for a failure after all `retries`.
 */
export async function download(job: Download): Promise<void> {
  const { destination, signal, retries, wait, onWait, onProgress } = job
  const contact = { isMade: false }
  const retry = createRetry({
    ...DEFAULTS,
    retries,
    waitForServer: wait,
    contact,
    clock: systemClock,
  })
  const measured: Measured = { size: null }
  const meter = createProgressMeter(systemClock, measured, onProgress)
  for (;;) {
    signal.throwIfAborted()
    try {
      await attempt(job, measured, meter, contact)
      return
    } catch (error) {
      signal.throwIfAborted()
      retry.reached(destination.position)
      await retry.wait(error, signal, onWait)
    }
  }
}

/** The length of the file, which the meter of the progress reads; null while it is unknown. */
interface Measured {
  size: number | null
}

/** Sends one request, and writes its answer to the destination. Resolves when the file is complete. */
async function attempt(
  job: Download,
  measured: Measured,
  meter: ProgressMeter,
  contact: { isMade: boolean },
): Promise<void> {
  const { destination, signal } = job
  const watch = startWatch(signal)
  try {
    const response = await ask(job, watch.signal)
    contact.isMade = true
    const { size } = await accept(response, destination)
    measured.size = size
    meter.start(destination.position)
    await receive(response, destination, watch, meter)
    if (size !== null && destination.position !== size) {
      throw broken('the answer was shorter or longer than its Content-Length')
    }
    await verify(response, destination)
  } catch (cause) {
    signal.throwIfAborted()
    if (watch.hasStalled()) {
      throw new ClientError('ERR_STALL', 'GET got no byte for too long', { transient: true, cause })
    }
    // `fetch` rejects with a TypeError for every failure of the connection, which a retry may overcome.
    throw cause instanceof TypeError ? broken('the connection broke', cause) : cause
  } finally {
    watch.stop()
  }
}

/**
 * Compares the downloaded bytes with the `Repr-Digest` of the answer, if it has one (RFC 9530 §3).
 *
 * @throws ClientError if the digests differ. The bytes are discarded.
 */
async function verify(response: Response, destination: Destination): Promise<void> {
  const { headers } = response
  const digest = sha256Of(headers.get('repr-digest'))
  // The digest covers the bytes with their content coding, while the destination has the decoded ones.
  if (digest === null || codingOf(headers) !== '' || digest === (await destination.digest())) return
  await destination.discard()
  throw refusal('the bytes do not match the digest that the server sent', response)
}

function broken(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_NETWORK', message, { transient: true, cause })
}

/** Requests the missing bytes, or the whole file if there is nothing to continue. */
async function ask(
  { url, headers, destination }: Download,
  signal: AbortSignal,
): Promise<Response> {
  const { version, position } = destination
  // If no byte is missing, the last byte is requested again. The answer shows whether the downloaded
  // version still is the current one.
  const start = Math.min(position, (version?.size ?? Infinity) - 1)
  const etag = version?.etag ?? null
  const isRest = etag !== null && start > 0
  if (isRest) destination.rewind(start)
  const range = isRest ? { Range: `bytes=${start}-`, 'If-Range': etag } : {}
  // A compressed answer has other bytes at other positions, so that it can't be continued.
  const fields = { ...headers, 'Accept-Encoding': 'identity', ...WANT_DIGEST, ...range }
  return fetchFile(url, new Headers(fields), signal)
}

/**
 * Prepares the destination for the content of the answer: for the rest of its version, or for another
 * version from the first byte on.
 *
 * @throws ClientError if the answer is not content of the file. It is transient if a request without
 * `Range` may succeed.
 */
async function accept(response: Response, destination: Destination): Promise<Version> {
  const { status, headers } = response
  const [, start, total] =
    /^bytes (?:([0-9]+)-[0-9]+|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  // While an upload is incomplete, some revisions of the draft answer 200 with the stored range in
  // `Content-Range`. The server leaves this field out for proxies that refuse it in a 200. Then only
  // `Upload-Length`, the length of the finished file, shows that bytes are missing.
  const isShort =
    Number(headers.get('upload-length')) > Number(headers.get('content-length') ?? NaN)
  if (status === 299 || total === '*' || (status === 200 && (total !== undefined || isShort))) {
    throw refusal(
      'the upload of this file to the server is not complete yet; try again later',
      response,
    )
  }
  if (status === 200) return begin(response, destination)
  if (isMissing(response)) throw refusal('there is nothing at this URL', response)
  if (status !== 206 && status !== 416) throw await responseError('GET', response)
  const { version, position } = destination
  const etag = strongTag(headers)
  // A 206 repeats the entity tag (RFC 9110 §15.3.7). Without it the range may be of another version.
  const isTagged = etag !== null && etag === version?.etag && !codingOf(headers)
  const size = version?.size ?? Number(total)
  // Equal strong entity tags mean equal bytes, and therefore equal lengths.
  const isSame = isTagged && size === Number(total)
  if (status === 206 && isSame && Number(start) === position) return { etag, size }
  // The answer does not continue the download. A retry starts with the first byte.
  await destination.begin({ etag: null, size: null })
  const message =
    version === null
      ? 'the server sent a range that was not asked for'
      : 'the file on the server has changed'
  throw new ClientError('ERR_RESPONSE', message, { response, transient: version !== null })
}

/** Returns the content coding of an answer, such as `gzip`; an empty string if there is none. */
function codingOf(headers: Headers): string {
  return (headers.get('content-encoding') ?? '').toLowerCase().replace(/^identity$/, '')
}

/** Starts with the first byte of a version. Throws for a content coding that can't be decoded. */
async function begin(response: Response, destination: Destination): Promise<Version> {
  const { headers } = response
  const coding = codingOf(headers)
  if (coding !== '') {
    // The server has ignored `Accept-Encoding: identity`. `fetch` decodes these codings. The
    // `Content-Length` counts the coded bytes, so that the length of the file is unknown.
    if (!/^(?:(?:x-)?gzip|deflate|br)$/.test(coding)) {
      throw refusal(
        `the server sends the file compressed as "${coding}", which this command does not support`,
        response,
      )
    }
    const unknown = { etag: null, size: null }
    await destination.begin(unknown)
    return unknown
  }
  const length = headers.get('content-length')
  const version = {
    etag: strongTag(headers),
    size: length === null ? null : Number(length),
  }
  await destination.begin(version)
  return version
}

/** Writes the content of the answer to the destination. */
async function receive(
  { body }: Response,
  destination: Destination,
  watch: Watch,
  meter: ProgressMeter,
): Promise<void> {
  if (body === null) return
  const chunks: AsyncIterable<Uint8Array> = body
  for await (const chunk of chunks) {
    // The timer stops during the write, because a slow reader of the standard output is not a stall.
    watch.rest()
    await destination.write(chunk)
    meter.move(destination.position)
    watch.note()
  }
}

/** The time limit of one request. */
interface Watch {
  /**
   * Aborts with the signal of the job, after `STALL_TIMEOUT` without a byte, and at the end of the
   * request.
   */
  readonly signal: AbortSignal
  /** Stops the timer. */
  readonly rest: () => void
  /** Starts the timer from the beginning. */
  readonly note: () => void
  /** Whether no byte has arrived for `STALL_TIMEOUT`. */
  readonly hasStalled: () => boolean
  /** Stops the timer, and closes the connection if its content was not read to the end. */
  readonly stop: () => void
}

/** Starts the timer of a request. */
function startWatch(job: AbortSignal): Watch {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  let stalled = false
  let timer: NodeJS.Timeout | undefined
  const rest = (): void => clearTimeout(timer)
  const note = (): void => {
    rest()
    timer = setTimeout(() => {
      stalled = true
      abort()
    }, STALL_TIMEOUT)
  }
  job.addEventListener('abort', abort)
  note()
  return {
    signal: controller.signal,
    rest,
    note,
    hasStalled: () => stalled,
    stop: () => {
      rest()
      job.removeEventListener('abort', abort)
      abort()
    },
  }
}
