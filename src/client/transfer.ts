/** The protocol of an upload, one request at a time: what to send next, and what an answer means. */
import { abortable } from './clock.ts'
import { confirm, isFinal, mismatch, type FinalAnswer } from './confirmation.ts'
import { sha256Of, type SourceHash } from './digest.ts'
import { isSameFile } from './disposition.ts'
import { ClientError, responseError } from './error.ts'
import { createEvidence } from './evidence.ts'
import { exchange, type Connection } from './exchange.ts'
import type { UploadOptions } from './options.ts'
import { createProgressMeter } from './progress.ts'
import {
  find,
  foundIn,
  isPage,
  MISSING,
  pageError,
  removeResource,
  strongTag,
  type Found,
} from './resource.ts'
import type { Retry } from './retry.ts'
import { createSegmentSizes } from './segment-size.ts'
import { encodeSegment, type Segment, type SegmentMessage } from './segment.ts'
import { sourceError, type ByteSource } from './source/byte-source.ts'

/** Up to this size a file is sent without asking first what is there. */
const SMALL = 64 * 1024
/** Less than this may get lost in the buffers of a broken connection. */
const LEAST_LOSS = 64 * 1024

/** One upload between its requests. */
export interface Transfer {
  /** Whether the next step sends, and does not ask. */
  readonly isSending: () => boolean
  /** Whether this call has brought bytes to the server, or may have. */
  readonly hasWritten: () => boolean
  /**
   * Asks, or sends a segment. Resolves with the final response when all is there, and else with null.
   *
   * @throws ClientError after which, if it is transient, another step may succeed.
   */
  readonly step: (signal: AbortSignal) => Promise<Response | null>
  /** Takes back what the last step seemed to tell of the way: something else has ended it. */
  readonly forget: () => void
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
  hash: SourceHash,
  retry: Retry,
): Transfer {
  const meter = createProgressMeter(upload.clock, source, upload.guard(options.onProgress))
  const sizes = createSegmentSizes(source, options)
  const evidence = createEvidence(source, hash, options)
  const { overwrite = false, reprDigest = false } = options
  /** No answer has said yet that nothing is there. */
  let isGuess = source.size !== null && source.size <= SMALL
  /** Entity tag of what is there, or ''; null for nothing, undefined as long as the server has to be asked. */
  let remote: string | null | undefined = isGuess ? null : undefined
  /** Bytes that have left of the segment that has got no answer. */
  let lost = 0
  /** The resource does not have the name, date and type of the source yet. */
  let isUnlabelled = true
  /** The server does not know `PATCH`: the whole goes as one `PUT`. */
  let isPut = false
  /** A finished file is to be replaced, which only a `PUT` does at once. */
  let isReplacing = false
  /** What a refusal has said of the resource. */
  let told: Found | null = null
  /** The answer to the last segment, until the server is asked whether it was the final one. */
  let final: FinalAnswer | null = null
  /** Hashed beside the transfer, which a retry does not disturb. */
  let digest: Promise<string | null> | null = null

  async function step(signal: AbortSignal): Promise<Response | null> {
    const before = remote
    // Whatever goes wrong from here on, the server must be asked before the next segment.
    remote = undefined
    const connection = { ...upload, signal }
    return before === undefined ? look(connection) : send(before, connection)
  }

  async function look(connection: Connection): Promise<Response | null> {
    const answer = await find(connection)
    // A cache may have answered with an older state than the one that the refusal has described.
    const found = told !== null && (answer?.size ?? 0) < told.size ? told : answer
    told = null
    // Of so much not a byte has arrived: something on the way holds requests back until they are whole.
    if ((found?.size ?? 0) === evidence.received() && lost >= LEAST_LOSS) sizes.shrink(lost / 2)
    lost = 0
    if (final !== null) return finish(connection, found, final)
    isReplacing = false
    const isSame = found === null ? null : await evidence.accept(connection, found)
    if (found === null) startOver(null)
    else if (!isSame) await makeRoom(connection, found, isSame)
    else if (found.complete) {
      meter.start(found.size)
      return found.response
    } else {
      remote = found.etag ?? ''
      isUnlabelled = isSameFile(found.disposition, source) !== true
      retry.reached(found.size)
    }
    meter.start(evidence.received())
    return null
  }

  async function finish(
    connection: Connection,
    found: Found | null,
    answer: FinalAnswer,
  ): Promise<Response> {
    final = null
    await confirm(connection, answer, found, source, hash)
    return answer.response
  }

  /** Another file is at the URL, or with `null` one that can't be compared. */
  async function makeRoom(
    connection: Connection,
    found: Found,
    isSame: false | null,
  ): Promise<void> {
    const { complete, etag, response } = found
    if (overwrite && !complete && etag !== null) {
      // This version alone: a file that was finished meanwhile stays.
      await removeResource(connection, etag)
      startOver(null)
    } else if (overwrite || (isSame === null && !complete)) {
      isReplacing = complete
      startOver(etag ?? '')
    } else if (complete && etag === null && isPage(response)) throw pageError('HEAD', response)
    else throw mismatch(found, isSame)
  }

  function startOver(etag: string | null): void {
    evidence.startOver(etag)
    remote = etag
    isUnlabelled = true
  }

  async function send(before: string | null, connection: Connection): Promise<Response | null> {
    const segment = await nextSegment(before, connection.signal)
    const { start, data, isLast } = segment
    const message = await encodeSegment(upload, segment, source, options)
    const onProgress = (sent: number): void => {
      lost = Math.max(0, sent - message.headerSize)
      evidence.sent(start + lost)
      meter.move(start + lost)
    }
    const response = await exchange(connection, { ...message, onProgress }).catch(
      (error: unknown) => {
        evidence.lose(before)
        throw error
      },
    )
    lost = 0
    if (!response.ok) return refused(response, segment, message)
    const tag = strongTag(response.headers)
    const end = start + data.size
    // A page may come from a server that stores nothing.
    if (!isLast && isPage(response)) throw pageError(message.method, response)
    evidence.acknowledge(start, end, before, tag)
    isUnlabelled = false
    retry.reached(end)
    meter.move(end)
    if (!isLast) {
      remote = tag ?? ''
      return null
    }
    const isChecked =
      segment.digest !== null && sha256Of(response.headers.get('Repr-Digest')) === segment.digest
    const isProven = isChecked || evidence.isProven()
    if (isProven && isFinal(response)) return response
    final = { method: message.method, response, isProven }
    return null
  }

  async function nextSegment(before: string | null, signal: AbortSignal): Promise<Sending> {
    const isWhole = isPut || isReplacing
    const start = isWhole ? 0 : evidence.received()
    const hasDigest = reprDigest || !(isWhole || evidence.isProven())
    // A stream is held in memory, and is not held whole.
    const isUnbounded = isWhole && !(isReplacing && source.once)
    const end = isUnbounded ? Infinity : sizes.endAfter(start, hasDigest)
    const data = await abortable(source.slice(start, end), signal)
    const isLast = start + data.size === source.size
    if (isReplacing && !isLast) {
      throw sourceError(
        'a stream replaces a file only in one segment: raise segmentSize, or remove the file first',
      )
    }
    if (hasDigest && (isLast || !source.once)) {
      digest ??= hash.prefix(source, source.size ?? 0, upload.signal)
      // What goes wrong here comes up with the last segment, which alone carries the digest.
      void digest.catch(() => undefined)
    }
    return {
      start,
      data,
      before,
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
    const passing = before === null ? [412] : [409, 412, ...MISSING]
    const error = await responseError(method, response, passing)
    // Only after a timeout or a failure of the server something may have been kept.
    if (status < 500 && status !== 408) evidence.refuse()
    if (status === 412 || status === 409) told = foundIn(response, error.problem)
    if (status === 412 && isGuess) {
      isGuess = false
      return null
    }
    if (error.problem?.code === 'ERR_REPR_DIGEST' && !evidence.isProven()) return mistrust(error)
    if (status === 413 && !isWhole) {
      const limit = Number(error.problem?.['limit']) - headerSize
      if (sizes.refuse(data.size, limit)) return null
    }
    if ([405, 415, 501].includes(status)) {
      // What a server answers that does not know PATCH, or not this kind of it.
      if (!isWhole && (!source.once || (start === 0 && isLast))) {
        isPut = true
        return null
      }
      if (isReplacing) throw notReplaceable(error)
    }
    throw error
  }

  /** What was there before was not the beginning of the source, which the server has found out. */
  function mistrust(error: ClientError): never {
    evidence.distrust()
    const { message, problem } = error
    // A stream can't be sent again.
    const transient = source.once !== true
    throw new ClientError('ERR_DIFFERENT', message, { problem, transient, cause: error })
  }

  return {
    step,
    isSending: () => remote !== undefined,
    hasWritten: () => evidence.hasWritten(),
    forget: () => {
      lost = 0
    },
  }
}

function notReplaceable(cause: ClientError): ClientError {
  const message = `${cause.message}: a file is replaced with PUT only, or by removing it first`
  return new ClientError(cause.code, message, { problem: cause.problem, cause })
}
