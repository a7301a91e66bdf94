/**
 * The steps of an upload: decides what to send next, and what the answer means.
 *
 * Each step is one request. It is a segment while the version on the server is known, and a `HEAD`
 * after a failure, because only the server knows how many bytes of a broken request it has stored.
 * `upload.ts` repeats the steps, waits between them after failures, and handles pauses.
 */
import { isFinal, isPage, isUnsupported, pageError, responseError } from './answer.ts'
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

/**
 * Largest size of a file that is sent without a `HEAD` before it, in bytes. If the URL is taken,
 * the precondition makes the server refuse it, and the wasted bytes cost less than a round trip.
 */
const SMALL = 64 * 1024
/**
 * Least loss of an unfinished request, in bytes, after which the client assumes that a proxy has
 * discarded it. A smaller loss may come from the buffers of the broken connection.
 */
const LEAST_LOSS = 64 * 1024
/**
 * On platforms that report an answer only after all content was sent, a source with more remaining
 * bytes than this begins with a segment of `SMALL` bytes.
 */
const LARGE = 1024 * 1024

/** One upload between its requests. */
export interface Transfer {
  /** Whether the next step sends a segment rather than a `HEAD`. */
  readonly isSending: () => boolean
  /** What the upload knows about the bytes on the server. */
  readonly evidence: Evidence
  /**
   * Sends one segment or one `HEAD`. Resolves with the final response if the upload is complete
   * now, and with null if another step has to follow.
   *
   * @throws ClientError after a failure. If the error is transient, another step may succeed.
   */
  readonly step: (signal: AbortSignal) => Promise<Response | null>
}

/** A segment that is about to be sent. */
interface Sending extends Segment {
  /** Whether the segment ends where the source ends. */
  readonly isLast: boolean
}

/** Creates the upload of a source. It sends nothing before the first step. */
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
  /** Whether a small file is about to be sent without knowing whether the URL is free. */
  let isGuess = (source.size ?? Infinity) <= SMALL
  /** Whether the state of the resource is known, so that a segment is next instead of `HEAD`. */
  let isSending = isGuess
  /** Whether no segment was acknowledged since the last failure: the next one may be refused. */
  let isFirst = true
  /** Number of bytes of a segment that were sent before its connection broke. */
  let lost = 0
  /** Whether the resource does not have the name, the date and the type of the source yet. */
  let isUnlabelled = true
  /** Whether the server does not support `PATCH`, so that one `PUT` sends the whole source. */
  let isPut = false
  /** Whether a finished file is to be replaced. Only `PUT` does that without removing it first. */
  let isReplacing = false
  /** The state that the last refusal has reported. */
  let reported: Found | null = null
  /** The answer to the last segment, if the next `HEAD` has to confirm it. */
  let final: FinalAnswer | null = null
  /** Digest of the whole source. It is computed once, even across retries. */
  let digest: Promise<string | null> | null = null

  async function step(signal: AbortSignal): Promise<Response | null> {
    const request = isSending ? send : refresh
    // A request that succeeds sets this again. After any failure `HEAD` has to ask for the offset.
    isSending = false
    return request({ ...upload, signal })
  }

  /** Asks for the state of the resource, and decides from where to send. */
  async function refresh(connection: Connection): Promise<Response | null> {
    const answer = await find(connection)
    // A cache may have answered `HEAD` with an older state than that of the last refusal.
    const found = reported !== null && (answer?.size ?? 0) < reported.size ? reported : answer
    reported = null
    // If nothing of a long segment has arrived, a proxy probably buffers requests and forwards only
    // complete ones. Only a smaller segment can then arrive before the connection breaks again.
    if ((found?.size ?? 0) === evidence.received() && lost >= LEAST_LOSS) sizes.shrink(lost / 2)
    lost = 0
    const last = final
    final = null
    if (last !== null) return confirm(connection, last, found, source, hash)
    isReplacing = false
    const isSame = found && (await evidence.accept(connection, found))
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

  /**
   * Prepares to replace what is stored at the URL: a different file, or with `null` one that can't
   * be compared. Throws without the option `overwrite`.
   */
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
      // An incomplete upload has no readers that would miss it, so that it is removed at once. The
      // entity tag keeps a file that another client has finished since `HEAD`.
      await removeResource(connection, etag, [412])
      startOver(null)
    }
  }

  /** Makes the next segment begin at the first byte, under the precondition for this version. */
  function startOver(etag: string | null): void {
    evidence.startOver(etag)
    isSending = true
    isUnlabelled = true
  }

  /** Sends the next segment. */
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
        // The caller has paused or ended the upload, so that the loss does not indicate a proxy.
        if (connection.signal.aborted) lost = 0
        throw error
      },
    )
    lost = 0
    if (!response.ok) return refused(response, segment, message)
    // A success with a web page is likely to come from a login or a captive portal, which has
    // stored nothing. The last segment is checked by `HEAD` instead.
    if (!isLast && isPage(response)) throw pageError(message.method, response)
    evidence.acknowledge(start, end, response)
    isUnlabelled = false
    isFirst = false
    retry.reached(end)
    meter.move(end)
    if (!isLast) {
      // After a redirection the answer may describe another resource.
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

  /** Reads the next segment, and decides on its length, its precondition and its digest. */
  async function nextSegment(signal: AbortSignal): Promise<Sending> {
    const isWhole = isPut || isReplacing
    const start = isWhole ? 0 : evidence.received()
    // Bytes that are not proven to be those of the source need the digest of the whole as a proof.
    const hasDigest = reprDigest || !(isWhole || evidence.isProven())
    // A stream that replaces a file is held in memory, so that it must fit into one segment.
    const isUnbounded = isWhole && !(isReplacing && source.once)
    // A browser shows a refusal only after it has sent all content. The server may refuse the
    // upload for lack of rights or space, or because another client sends the same file. After a
    // first segment of 64 KiB this costs little.
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
      // The computation starts with the first segment, so that it runs while the segments are sent.
      digest ??= hash.prefix(source.size ?? 0, upload.signal)
      // The last segment awaits the digest and reports a failure. Before that a rejection would
      // count as unhandled.
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

  /**
   * Handles an answer that is not a success. Resolves if another step can succeed at once.
   *
   * @throws ClientError for every other refusal.
   */
  async function refused(
    response: Response,
    segment: Sending,
    { method, headerSize }: SegmentMessage,
  ): Promise<null> {
    const { status } = response
    // These mean that the resource is not in the expected state: it was created or changed by
    // another client, or removed. The next `HEAD` shows how to continue.
    const retriable = segment.before === null ? [412] : [404, 409, 410, 412]
    const error = await responseError(method, response, retriable)
    // A server that refuses a request stores nothing of it. Only a timeout or a failure of the
    // server may come after it has stored some bytes.
    if (status < 500 && status !== 408) evidence.refuse()
    // After an error that is not transient, no `HEAD` may follow that would correct the progress.
    // The progress therefore goes back to the bytes that the server has acknowledged.
    if (!error.transient) meter.start(evidence.received())
    if ([409, 412].includes(status)) reported = reportedState(response, error.problem)
    if (canSendOtherwise(error, segment, headerSize)) return null
    throw explain(error, response)
  }

  /** Whether the refused bytes can be sent in another way, which the next step then does. */
  function canSendOtherwise(
    error: ClientError,
    { start, data, isLast, isPut: isWhole }: Sending,
    headerSize: number,
  ): boolean {
    const { status, problem } = error
    // The URL of a small file that was sent without `HEAD` is taken.
    if (status === 412 && isGuess) {
      isGuess = false
      return true
    }
    if (isWhole) return false
    if (status === 413) return sizes.refuse(data.size, Number(problem?.['limit']) - headerSize)
    isPut = isUnsupported(error) && (!source.once || (start === 0 && isLast))
    return isPut
  }

  /** Returns the error of a refusal, which says more if the upload knows more than the server. */
  function explain(error: ClientError, response: Response): ClientError {
    const { code, message, problem } = error
    const details = { response, problem, cause: error }
    if (problem?.code === 'ERR_REPR_DIGEST' && !evidence.isProven()) {
      // The stored bytes were not the beginning of the source, although they were likely to be. A
      // file is sent again from its first byte, which a stream can't be.
      evidence.distrust()
      return new ClientError('ERR_DIFFERENT', message, { ...details, transient: !source.once })
    }
    // Only PUT replaces a finished file, and the server does not support it.
    const isStuck = isReplacing && isUnsupported(error)
    return isStuck ? new ClientError(code, `${message}; remove the file first`, details) : error
  }

  return { step, isSending: () => isSending, evidence }
}
