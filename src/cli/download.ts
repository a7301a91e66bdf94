/** Downloads a resource, and resumes with `Range` and `If-Range` (RFC 9110 §13.1.5). */
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

/** Longest time without a byte, in milliseconds. */
const STALL_TIMEOUT = 30_000

/** The version of a resource that is downloaded. */
export interface Version {
  /** Strong entity tag; null without one, and then the download can't be resumed. */
  readonly etag: string | null
  /** Length in bytes; null while unknown. */
  readonly size: number | null
}

/** The target of a download. */
export interface Destination {
  /** The version of the bytes; null if they can't be resumed. */
  readonly version: Version | null
  /** Number of bytes that were written. */
  readonly position: number
  /** Starts a version from its first byte. */
  begin(version: Version): Promise<void>
  /** The next bytes go to `position`, over those that follow it. */
  rewind(position: number): void
  /** Adds bytes. */
  write(bytes: Uint8Array): Promise<void>
  /** The SHA-256 of all bytes, as `sha-256=:…:`. */
  digest(): Promise<string>
  /** Forgets the bytes, which are wrong. */
  discard(): Promise<void>
}

/** One download. */
export interface Download {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
  /** Use all retries even if no server has ever answered at the address. */
  readonly wait: boolean
  readonly signal: AbortSignal
  readonly destination: Destination
  readonly onProgress: (progress: Progress) => void
  /** Called before a wait of `delay` milliseconds for the next try. */
  readonly onWait: (delay: number | null, error: Error) => void
}

/**
 * Downloads the bytes that are missing, with retries.
 *
 * @throws ClientError
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

/** Length of the file; null while it is unknown. */
interface Measured {
  size: number | null
}

/** Sends one request. Resolves when the file is complete. */
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
    // `fetch` rejects with a TypeError for every fault of a connection.
    throw cause instanceof TypeError ? broken('the connection broke', cause) : cause
  } finally {
    watch.stop()
  }
}

/** Compares the bytes with the `Repr-Digest` of the answer, where it has one (RFC 9530 §3). */
async function verify(response: Response, destination: Destination): Promise<void> {
  const { headers } = response
  const digest = sha256Of(headers.get('repr-digest'))
  // The digest of coded content is one of other bytes.
  if (digest === null || codingOf(headers) !== '' || digest === (await destination.digest())) return
  await destination.discard()
  throw refusal('the bytes do not match the digest that the server sent', response)
}

function broken(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_NETWORK', message, { transient: true, cause })
}

async function ask(
  { url, headers, destination }: Download,
  signal: AbortSignal,
): Promise<Response> {
  const { version, position } = destination
  // Of a file without missing bytes the last one is requested, to find out whether its version is
  // current.
  const start = Math.min(position, (version?.size ?? Infinity) - 1)
  const etag = version?.etag ?? null
  const isRest = etag !== null && start > 0
  if (isRest) destination.rewind(start)
  const range = isRest ? { Range: `bytes=${start}-`, 'If-Range': etag } : {}
  // Coded content has other bytes, at other positions.
  const fields = { ...headers, 'Accept-Encoding': 'identity', ...WANT_DIGEST, ...range }
  return fetchFile(url, new Headers(fields), signal)
}

/** Prepares the destination for the rest of its version, or for another version. */
async function accept(response: Response, destination: Destination): Promise<Version> {
  const { status, headers } = response
  const [, start, total] =
    /^bytes (?:([0-9]+)-[0-9]+|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  // Some revisions of the draft answer 200 while an upload is unfinished, with its range. Behind
  // proxies that refuse a range there, only the length of the finished file shows it.
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
  // A 206 repeats the validator that it was asked with (RFC 9110 §15.3.7). Without it, nothing proves
  // that the range belongs to the same version.
  const isTagged = etag !== null && etag === version?.etag && !codingOf(headers)
  const size = version?.size ?? Number(total)
  // One strong entity tag stands for the same bytes, so for one length.
  const isSame = isTagged && size === Number(total)
  if (status === 206 && isSame && Number(start) === position) return { etag, size }
  // A range of coded content is not a range of the file.
  await destination.begin({ etag: null, size: null })
  const message =
    version === null
      ? 'the server sent a range that was not asked for'
      : 'the file on the server has changed'
  throw new ClientError('ERR_RESPONSE', message, { response, transient: version !== null })
}

/** The content coding of an answer; empty if there is none. */
function codingOf(headers: Headers): string {
  return (headers.get('content-encoding') ?? '').toLowerCase().replace(/^identity$/, '')
}

async function begin(response: Response, destination: Destination): Promise<Version> {
  const { headers } = response
  const coding = codingOf(headers)
  if (coding !== '') {
    // The server ignored `identity`. `fetch` decodes these codings, and the length is the coded one.
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

async function receive(
  { body }: Response,
  destination: Destination,
  watch: Watch,
  meter: ProgressMeter,
): Promise<void> {
  if (body === null) return
  const chunks: AsyncIterable<Uint8Array> = body
  for await (const chunk of chunks) {
    // The time that a slow reader of the standard output takes does not count as a stall.
    watch.rest()
    await destination.write(chunk)
    meter.move(destination.position)
    watch.note()
  }
}

interface Watch {
  /** Aborts with the job, at the end of the request, or when it has stalled. */
  readonly signal: AbortSignal
  /** Pauses the timer. */
  readonly rest: () => void
  /** Starts the timer again. */
  readonly note: () => void
  /** Whether no byte has come for `STALL_TIMEOUT`. */
  readonly hasStalled: () => boolean
  /** Ends the timer, and the connection if its content was not read to the end. */
  readonly stop: () => void
}

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
