/** Fetches a resource until all of it is there, with `Range` and `If-Range` (RFC 9110 §13.1.5). */
import { systemClock } from '../client/clock.ts'
import { ClientError, responseError } from '../client/error.ts'
import type { Progress } from '../client/options.ts'
import { createProgressMeter, type ProgressMeter } from '../client/progress.ts'
import { MISSING, strongTag } from '../client/resource.ts'
import { createRetry } from '../client/retry.ts'

/** Longest time without a byte, in milliseconds. */
const STALL_TIMEOUT = 30_000

/** What is known of the version that is being fetched. */
export interface Version {
  /** Strong entity tag; null if there is none, and then nothing can be continued. */
  readonly etag: string | null
  /** Length in bytes; null while unknown. */
  readonly size: number | null
}

/** Where a download goes. */
export interface Destination {
  /** What the bytes so far belong to; null if there are none that could be continued. */
  readonly version: Version | null
  /** How many bytes are there. */
  readonly position: number
  /** Begins a version from its first byte. */
  begin(version: Version): Promise<void>
  /** Has the bytes from `position` on written again. */
  rewind(position: number): void
  /** Adds bytes. */
  write(bytes: Uint8Array): Promise<void>
}

/** What to fetch, and where to. */
export interface Download {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
  readonly signal: AbortSignal
  readonly destination: Destination
  readonly onProgress: (progress: Progress) => void
  /** Told of a wait, in milliseconds, before the next try. */
  readonly onWait: (delay: number | null, error: Error) => void
}

/**
 * Fetches what is missing, again and again if need be.
 *
 * @throws ClientError
 */
export async function download(job: Download): Promise<void> {
  const { destination, signal, retries, onWait, onProgress } = job
  const retry = createRetry({ retries, clock: systemClock })
  const measured: Measured = { size: null }
  const meter = createProgressMeter(systemClock, measured, onProgress)
  for (;;) {
    signal.throwIfAborted()
    try {
      await attempt(job, measured, meter)
      return
    } catch (error) {
      signal.throwIfAborted()
      retry.reached(destination.position)
      await retry.wait(error, signal, onWait)
    }
  }
}

/** How long the file is; null while unknown. */
interface Measured {
  size: number | null
}

/** One request. Resolves when all is there. */
async function attempt(job: Download, measured: Measured, meter: ProgressMeter): Promise<void> {
  const { destination, signal } = job
  const watch = startWatch(signal)
  try {
    const response = await ask(job, watch.signal)
    const { size } = await accept(response, destination)
    measured.size = size
    meter.start(destination.position)
    await receive(response, destination, watch, meter)
    if (size !== null && destination.position !== size) throw broken('the answer ended early')
  } catch (cause) {
    signal.throwIfAborted()
    if (watch.hasStalled()) {
      throw new ClientError('ERR_STALL', 'GET stood still', { transient: true, cause })
    }
    // `fetch` has no error of its own: what is wrong with a connection is a TypeError.
    throw cause instanceof TypeError ? broken('the connection broke', cause) : cause
  } finally {
    watch.stop()
  }
}

function broken(message: string, cause?: unknown): ClientError {
  return new ClientError('ERR_NETWORK', message, { transient: true, cause })
}

async function ask(
  { url, headers, destination }: Download,
  signal: AbortSignal,
): Promise<Response> {
  const { version, position } = destination
  // Of a file that is all there the last byte is asked for, which tells whether it is up to date.
  const start = Math.min(position, (version?.size ?? Infinity) - 1)
  const etag = version?.etag ?? null
  const isRest = etag !== null && start > 0
  if (isRest) destination.rewind(start)
  const range = isRest ? { Range: `bytes=${start}-`, 'If-Range': etag } : {}
  // Coded content has other bytes, at other positions.
  return fetch(url, { headers: { ...headers, 'Accept-Encoding': 'identity', ...range }, signal })
}

/** Makes the destination ready for the rest of its version, or for another version. */
async function accept(response: Response, destination: Destination): Promise<Version> {
  const { status, headers } = response
  const [, start, total] =
    /^bytes (?:([0-9]+)-[0-9]+|\*)\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  // Of the revisions of the draft some answer 200 while an upload is unfinished: its range tells.
  if (status === 299 || total === '*' || (status === 200 && total !== undefined)) {
    throw new ClientError('ERR_RESPONSE', 'the file is not complete yet: its upload goes on', {
      response,
    })
  }
  if (status === 200) return begin(response, destination)
  if (MISSING.includes(status)) {
    throw new ClientError('ERR_RESPONSE', `nothing is at ${response.url}`, { response })
  }
  if (status !== 206 && status !== 416) throw await responseError('GET', response)
  const etag = strongTag(response.headers)
  const isSame = etag === null || etag === destination.version?.etag
  if (status === 206 && Number(start) === destination.position && isSame) {
    return { etag, size: Number(total) }
  }
  await destination.begin({ etag: null, size: null })
  throw new ClientError('ERR_RESPONSE', 'the file has changed', { response, transient: true })
}

async function begin(response: Response, destination: Destination): Promise<Version> {
  const length = response.headers.get('content-length')
  const version = {
    etag: strongTag(response.headers),
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
    // That nobody takes what was fetched is no fault of the server's.
    watch.rest()
    await destination.write(chunk)
    meter.move(destination.position)
    watch.note()
  }
}

interface Watch {
  /** Aborts with the job, at the end, or when nothing has come for too long. */
  readonly signal: AbortSignal
  /** Nothing can come now. */
  readonly rest: () => void
  /** From now on something shall come. */
  readonly note: () => void
  /** Whether nothing has come for too long. */
  readonly hasStalled: () => boolean
  /** Ends the watch, and with it a connection whose content nobody wants. */
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
