/** Fetches a resource until all of it is there, with `Range` and `If-Range` (RFC 9110 §13.1.5). */
import { setTimeout as sleep } from 'node:timers/promises'

import { ClientError, type Problem, type Progress } from '../client/node.ts'

import type { PartFile, Version } from './part-file.ts'

/** Longest time without a byte, in milliseconds. */
const STALL_TIMEOUT = 30_000
/** Bound of the first wait after a failure, doubled by each further one, in milliseconds. */
const MIN_DELAY = 500
const MAX_DELAY = 30_000

/** What to fetch, and where to. */
export interface Download {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
  readonly signal: AbortSignal
  readonly part: PartFile
  readonly onProgress: (progress: Progress) => void
  /** Told of a wait, in milliseconds, before the next try. */
  readonly onWait: (delay: number, error: Error) => void
}

/**
 * Fetches what is missing, again and again if need be.
 *
 * @throws ClientError
 */
export async function download(job: Download): Promise<void> {
  const { part, signal, retries, onWait } = job
  let failures = 0
  for (;;) {
    const { position } = part
    try {
      if (await attempt(job)) return
      failures = 0
    } catch (error) {
      signal.throwIfAborted()
      failures = part.position > position ? 1 : failures + 1
      if (!(error instanceof ClientError) || !error.transient || failures > retries) throw error
      const bound = Math.min(MAX_DELAY, MIN_DELAY * 2 ** (failures - 1))
      const seconds = Number(error.headers?.get('retry-after') ?? 0)
      const delay = Math.max(Math.random() * bound, seconds > 0 ? seconds * 1000 : 0)
      onWait(delay, error)
      await sleep(delay, undefined, { signal })
    }
  }
}

/** One request. Resolves with whether all is there. */
async function attempt(job: Download): Promise<boolean> {
  const watch = startWatch(job.signal)
  try {
    const { size } = await receive(job, watch)
    return size === null || job.part.position === size
  } catch (cause) {
    job.signal.throwIfAborted()
    if (watch.hasStalled()) {
      throw new ClientError('ERR_STALL', 'GET stood still', { transient: true, cause })
    }
    // `fetch` has no error of its own: what is wrong with a connection is a TypeError.
    if (!(cause instanceof TypeError)) throw cause
    throw new ClientError('ERR_NETWORK', 'the connection broke', { transient: true, cause })
  } finally {
    watch.stop()
  }
}

async function receive(
  { url, headers, part, onProgress }: Download,
  watch: Watch,
): Promise<Version> {
  const { version } = part
  // Of a file that is all there the last byte is asked for, which tells whether it is up to date.
  const start = Math.min(part.position, (version?.size ?? Infinity) - 1)
  const known = version !== null && start > 0 ? version.etag : null
  const response = await fetch(url, {
    headers: {
      ...headers,
      // Coded content has other bytes, at other positions.
      'Accept-Encoding': 'identity',
      ...(known === null ? {} : { Range: `bytes=${start}-`, 'If-Range': known }),
    },
    signal: watch.signal,
  })
  const found =
    known === null ? await acceptWhole(response, part) : await acceptRest(response, part, start)
  const startedAt = Date.now()
  const first = part.position
  if (response.body === null) return found
  const chunks: AsyncIterable<Uint8Array> = response.body
  for await (const chunk of chunks) {
    watch.note()
    await part.write(chunk)
    const seconds = (Date.now() - startedAt) / 1000
    const rate = seconds < 0.25 ? null : (part.position - first) / seconds
    onProgress({ sent: part.position, size: found.size, rate })
  }
  return found
}

/** The rest of the version that is there in part, or another version. */
async function acceptRest(response: Response, part: PartFile, start: number): Promise<Version> {
  const { status, headers } = response
  if (status !== 206 && status !== 416) return acceptWhole(response, part)
  const range = /^bytes ([0-9]+)-[0-9]+\/([0-9]+|\*)$/.exec(headers.get('content-range') ?? '')
  if (range?.[2] === '*') throw unfinished(response)
  const size = Number(range?.[2])
  const etag = strongTag(headers)
  const isSame = etag === null || etag === part.version?.etag
  if (status !== 206 || Number(range?.[1]) !== start || !isSame) {
    await part.begin({ etag: null, size: null })
    throw await refused(response, 'the file has changed', true)
  }
  part.rewind(start)
  return { etag, size }
}

async function acceptWhole(response: Response, part: PartFile): Promise<Version> {
  const { status, headers } = response
  // Of the revisions of the draft some answer 200 while an upload is unfinished: its range tells.
  if (status === 299 || (status === 200 && headers.has('content-range'))) throw unfinished(response)
  if ([404, 410].includes(status)) throw await refused(response, 'nothing is there')
  if (status !== 200) throw await refused(response, `GET was answered with ${status}`)
  const length = headers.get('content-length')
  const version = { etag: strongTag(headers), size: length === null ? null : Number(length) }
  await part.begin(version)
  return version
}

function strongTag(headers: Headers): string | null {
  const etag = headers.get('etag')
  return etag?.startsWith('"') === true ? etag : null
}

function unfinished(response: Response): ClientError {
  return new ClientError('ERR_RESPONSE', 'the file is not complete yet: its upload goes on', {
    response,
  })
}

async function refused(
  response: Response,
  message: string,
  transient: boolean = isTransient(response.status),
): Promise<ClientError> {
  const problem = response.status < 400 ? null : parseProblem(await response.text())
  return new ClientError('ERR_RESPONSE', message, { response, problem, transient })
}

function isTransient(status: number): boolean {
  return [408, 425, 429].includes(status) || (status >= 500 && status !== 501 && status !== 505)
}

function parseProblem(text: string): Problem | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    return Object.fromEntries(Object.entries(value))
  } catch {
    return null
  }
}

interface Watch {
  /** Aborts with the job, at the end, or when nothing has come for too long. */
  readonly signal: AbortSignal
  /** Bytes came. */
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
  const timer = setTimeout(() => {
    stalled = true
    abort()
  }, STALL_TIMEOUT)
  job.addEventListener('abort', abort)
  return {
    signal: controller.signal,
    note: () => timer.refresh(),
    hasStalled: () => stalled,
    stop: () => {
      clearTimeout(timer)
      job.removeEventListener('abort', abort)
      abort()
    },
  }
}
