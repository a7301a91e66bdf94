/** The protocol of an upload, one request at a time: what to send next, and what an answer means. */
import { isFinal, isPage, pageError, responseError } from './answer.ts'
import { abortable } from './clock.ts'
import { confirm, mismatch, type FinalAnswer } from './confirmation.ts'
import { createSourceHash, sha256Of } from './digest.ts'
import { formatDisposition } from './disposition.ts'
import { ClientError } from './error.ts'
import { createEvidence, type Evidence } from './evidence.ts'
import { exchange, type Connection } from './exchange.ts'
import type { UploadOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import { find, removeResource, reportedState, type Found } from './resource.ts'
import type { Retry } from './retry.ts'
import { createSegmentSizes } from './segment-size.ts'
import { encodeSegment, type Segment, type SegmentMessage } from './segment.ts'
import { sourceError, type ByteSource } from './source/byte-source.ts'

/** Number of bytes up to which a file is sent without a `HEAD` before. */
const SMALL = 64 * 1024
/** A broken connection can lose fewer bytes than this in its buffers. */
const LEAST_LOSS = 64 * 1024
/** Where a refusal is seen late, the first segment of more than `LARGE` bytes has `SMALL` bytes. */
const LARGE = 1024 * 1024

/** One upload between its requests. */
export interface Transfer {
  /** Whether the next step sends a segment rather than a `HEAD`. */
  readonly isSending: () => boolean
  /** The evidence about the bytes on the server. */
  readonly evidence: Evidence
  /**
   * Sends a `HEAD` or a segment. Resolves with the final response when the upload is complete, and with
   * null before.
   *
   * @throws ClientError If it is transient, another step may succeed.
   */
  readonly step: (signal: AbortSignal) => Promise<Response | null>
}

/** A segment that is about to be sent. */
interface Sending extends Segment {
  /** Whether it ends where the source ends. */
  readonly isLast: boolean
}

/** Begins to upload a source. */
export function createTransfer(
  upload: Connection,
  source: ByteSource,
  options: UploadOptions,
  retry: Retry,
): Transfer {
  const meter = createProgressMeter(upload.clock, source, upload.guard(options.onProgress))
  const sizes = createSegmentSizes(source, options)
  const hash = createSourceHash(upload.createHash, source)
  const evidence = createEvidence(source, hash, options)
  const { overwrite, reprDigest = false } = options
  /** The file is small, and no answer has said yet whether the resource exists. */
  let isGuess = (source.size ?? Infinity) <= SMALL
  /** The version that the next segment continues or replaces is known. Otherwise a `HEAD` asks for it. */
  let isSending = isGuess
  /** No segment was acknowledged since the last failure: the next one may be refused. */
  let isFirst = true
  /** Number of bytes that have left of the segment that got no answer. */
  let lost = 0
  /** The resource does not have the name, date and type of the source yet. */
  let isUnlabelled = true
  /** The server does not support `PATCH`: the whole source is sent with one `PUT`. */
  let isPut = false
  /** A finished file is to be replaced, which only `PUT` does in one step. */
  let isReplacing = false
  /** The state that a refusal has reported. */
  let reported: Found | null = null
  /** The answer to the last segment, while a `HEAD` has to confirm it. */
  let final: FinalAnswer | null = null
  /** Digest of the whole source. A retry does not disturb its computation. */
  let digest: Promise<string | null> | null = null

  async function step(signal: AbortSignal): Promise<Response | null> {
    const request = isSending ? send : refresh
    // Only a success makes the next segment possible without a HEAD.
    isSending = false
    return request({ ...upload, signal })
  }

  async function refresh(connection: Connection): Promise<Response | null> {
    const answer = await find(connection)
    // A cache may have answered with an older state than the one that the refusal has reported.
    const found = reported !== null && (answer?.size ?? 0) < reported.size ? reported : answer
    reported = null
    // More was lost than buffers hold: a proxy holds requests back until it has all of them.
    if ((found?.size ?? 0) === evidence.received() && lost >= LEAST_LOSS) sizes.shrink(lost / 2)
    lost = 0
    if (final !== null) {
      const last = final
      final = null
      return confirm(connection, last, found, source, hash)
    }
    isReplacing = false
    const isSame = found === null ? null : await evidence.accept(connection, found)
    if (found === null) startOver(null)
    else if (!isSame) await makeRoom(connection, found, isSame)
    else if (found.complete) {
      meter.start(found.size)
      return found.response
    } else {
      isSending = true
      isUnlabelled = found.disposition !== formatDisposition(source)
      retry.reached(found.size)
    }
    meter.start(evidence.received())
    return null
  }

  /** The URL holds another file, or with `null` one that can't be compared. */
  async function makeRoom(
    connection: Connection,
    found: Found,
    isSame: false | null,
  ): Promise<void> {
    const { complete, etag } = found
    if (!overwrite) throw mismatch(found, isSame)
    isReplacing = complete
    if (complete || etag === null) startOver(etag ?? '')
    else {
      // Only this version: a file that was finished meanwhile stays.
      await removeResource(connection, etag, [412])
      startOver(null)
    }
  }

  function startOver(etag: string | null): void {
    evidence.startOver(etag)
    isSending = true
    isUnlabelled = true
  }

  async function send(connection: Connection): Promise<Response | null> {
    const segment = await nextSegment(connection.signal)
    isFirst = true
    const { start, data, isLast } = segment
    const end = start + data.size
    const message = await encodeSegment(upload, segment, source, options)
    const onProgress = (sent: number): void => {
      lost = Math.max(0, sent - message.headerSize)
      evidence.sent(start + lost)
      meter.move(start + lost)
    }
    evidence.begin(end)
    const response = await exchange(connection, { ...message, onProgress }).catch(
      (error: unknown) => {
        evidence.lose()
        // A pause of the caller is not a sign of a proxy that cuts requests.
        if (connection.signal.aborted) lost = 0
        throw error
      },
    )
    lost = 0
    if (!response.ok) return refused(response, segment, message)
    // A web page may come from a server that stores nothing.
    if (!isLast && isPage(response)) throw pageError(message.method, response)
    evidence.acknowledge(start, end, response)
    isUnlabelled = false
    isFirst = false
    retry.reached(end)
    meter.move(end)
    if (!isLast) {
      isSending = !response.redirected
      return null
    }
    const isVerified =
      segment.digest !== null && sha256Of(response.headers.get('Repr-Digest')) === segment.digest
    const isProven = isVerified || evidence.isProven()
    if (isProven && isFinal(response)) return response
    final = { response, isProven }
    return null
  }

  async function nextSegment(signal: AbortSignal): Promise<Sending> {
    const isWhole = isPut || isReplacing
    const start = isWhole ? 0 : evidence.received()
    const hasDigest = reprDigest || !(isWhole || evidence.isProven())
    // A stream is held in memory, so that it can't be sent as a whole.
    const isUnbounded = isWhole && !(isReplacing && source.once)
    // A refusal then costs little: for lack of rights or space, or while another client sends the file.
    const isTrial = upload.answersLate && isFirst && (source.size ?? 0) - start > LARGE
    const limit = isTrial ? start + SMALL : Infinity
    const end = isUnbounded ? Infinity : Math.min(limit, sizes.endAfter(start, hasDigest))
    const data = await abortable(source.slice(start, end), signal)
    if (source.once) await abortable(hash.add(start, data), signal)
    const isLast = start + data.size === source.size
    if (isReplacing && !isLast) {
      throw sourceError('raise segmentSize to replace a file by a stream')
    }
    if (hasDigest && (isLast || !source.once)) {
      digest ??= hash.prefix(source.size ?? 0, upload.signal)
      // A failure is reported with the last segment, which alone carries the digest.
      void digest.catch(() => undefined)
    }
    return {
      start,
      data,
      before: evidence.known(),
      isLast,
      isPut: isWhole,
      isLabelled: isWhole || isUnlabelled,
      digest: isLast && hasDigest ? await abortable(digest, signal) : null,
    }
  }

  async function refused(
    response: Response,
    { before, start, data, isLast, isPut: isWhole }: Sending,
    { method, headerSize }: SegmentMessage,
  ): Promise<null> {
    const { status } = response
    const retriable = before === null ? [412] : [404, 409, 410, 412]
    const error = await responseError(method, response, retriable)
    const { problem } = error
    const details = { response, problem, cause: error }
    // Only after a timeout or a failure of the server some bytes may have been stored.
    if (status < 500 && status !== 408) evidence.refuse()
    // Where no `HEAD` follows, the progress counts what the server has acknowledged, not what was sent.
    if (!error.transient) meter.start(evidence.received())
    if ([409, 412].includes(status)) reported = reportedState(response, problem)
    if (status === 412 && isGuess) {
      isGuess = false
      return null
    }
    if (problem?.code === 'ERR_REPR_DIGEST' && !evidence.isProven()) {
      // The stored bytes were not the beginning of the source. A stream can't be sent again.
      evidence.distrust()
      const transient = !source.once
      throw new ClientError('ERR_DIFFERENT', error.message, { ...details, transient })
    }
    if (status === 413 && !isWhole) {
      const limit = Number(problem?.['limit']) - headerSize
      if (sizes.refuse(data.size, limit)) return null
    }
    // The answers of servers that do not support PATCH, or not this format of it.
    if ([405, 415, 501].includes(status)) {
      if (!isWhole && (!source.once || (start === 0 && isLast))) {
        isPut = true
        return null
      }
      if (isReplacing) {
        throw new ClientError(error.code, `${error.message}; remove the file first`, details)
      }
    }
    throw error
  }

  return { step, isSending: () => isSending, evidence }
}
