/**
 * Records what an upload knows about the bytes on the server.
 *
 * An upload is complete when the server holds exactly the bytes of the source. There are two proofs
 * of that. Either the server has acknowledged all bytes to this call, and each request named by
 * `If-Match` the version that the request before has made, so that no other client can have written
 * in between. Or a digest of the whole is equal.
 *
 * After a broken connection, and if an earlier call began the upload, the stored bytes are only
 * likely to be those of the source: another client may have written to the same URL meanwhile. That
 * is enough to decide where to resume. The last segment then carries a digest of the whole source,
 * so that the server refuses to finish a mixture of two files.
 */
import { isPage, madeVersion } from './answer.ts'
import { hasSameBytes } from './comparison.ts'
import type { SourceHash } from './digest.ts'
import { formatDisposition } from './disposition.ts'
import type { Connection } from './exchange.ts'
import type { UploadOptions } from './options.ts'
import type { Found } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The knowledge of one upload. Positions are bytes from the start of the source. */
export interface Evidence {
  /**
   * Entity tag of the version that the next request continues or replaces. An empty string stands
   * for a version without a tag, and null for a resource that does not exist.
   */
  readonly known: () => string | null
  /** Number of stored leading bytes that are, or are likely to be, those of the source. */
  readonly received: () => number
  /** Whether these bytes are proven to be those of the source in the version `known`. */
  readonly isProven: () => boolean
  /** Whether this call has stored bytes on the server, or may have. */
  readonly hasWritten: () => boolean
  /** Whether this call has written an incomplete resource, as far as its length shows. */
  readonly isOwn: (found: Found) => boolean
  /**
   * Records that the next request creates the resource (null), or replaces the version with this
   * tag.
   */
  readonly startOver: (etag: string | null) => void
  /** Records that a request with the bytes up to `end` begins. */
  readonly begin: (end: number) => void
  /** Records that the platform has reported the bytes up to `end` as sent. */
  readonly sent: (end: number) => void
  /** Records that the request got no answer. The server may have stored any part of it. */
  readonly lose: () => void
  /** Records that the server refused the request and stored nothing of it. */
  readonly refuse: () => void
  /**
   * Records that the server found another digest of the whole. Afterwards only a comparison of the
   * bytes or of their digest makes stored bytes acceptable.
   */
  readonly distrust: () => void
  /** Records that the server has stored the bytes from `start` to `end`. */
  readonly acknowledge: (start: number, end: number, response: Response) => void
  /**
   * Whether the stored bytes are the source or its beginning, as far as is known. If true, and the
   * resource is incomplete, the upload resumes behind them. Null if the server does not let the
   * client find out.
   *
   * @throws ClientError for a failed request, and `ERR_SOURCE` if the source can't be read.
   */
  readonly accept: (connection: Connection, found: Found) => Promise<boolean | null>
}

/** Creates the record of an upload that has not sent a request yet. */
export function createEvidence(
  source: ByteSource,
  hash: SourceHash,
  { overwrite, verify }: UploadOptions,
): Evidence {
  let known: string | null = null
  let received = 0
  /** Position after the last byte that the platform has reported as sent. */
  let highWater = 0
  /**
   * Position after the last byte of the present request. More bytes than `highWater` may have left
   * this machine, because a browser reports progress only from time to time.
   */
  let attempted = 0
  let isProven = true
  /** Whether the incomplete resource is this upload, or is likely to be. */
  let isOurs = false
  /** Whether a request to create the resource got no answer, so that it may have created it. */
  let hasTried = false
  let hasWritten = false
  /** Whether stored bytes that were likely to be those of the source turned out to be others. */
  let isDistrusted = false
  const label = formatDisposition(source)

  async function accept(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, etag, complete } = found
    // Nothing was written since the last acknowledgement. A proof that this call had remains valid.
    if (!complete && isOurs && etag !== null && etag === known && size === received) return true
    // If this call can have stored `size` bytes, assume that they are its own. For a source that
    // can be read again, only bytes that were reported as sent (`highWater`) count, and a longer
    // prefix is compared. A stream can't be read again to compare it, so that everything that the
    // lost request may have sent (`attempted`) counts.
    const isLikely = isWithin(found, source.once ? attempted : highWater) || isSameFile(found)
    const isSame = isLikely || (await compare(connection, found))
    if (!isSame || complete) return isSame
    known = etag ?? ''
    received = size
    highWater = Math.max(highWater, size)
    // Bytes that were compared are proven for one version only, and `If-Match` with its tag binds
    // the next request to that version. Without a tag another client could replace it before the
    // next request.
    isProven = size === 0 || (!isLikely && etag !== null)
    isOurs = true
    return true
  }

  /**
   * Whether this call, which has sent bytes up to `end`, can have made an incomplete resource this
   * long.
   */
  function isWithin(found: Found, end: number): boolean {
    return canBeOurs(found) && (isOurs || hasTried) && found.size >= received && found.size <= end
  }

  /** Whether an incomplete resource has the name, the date and the length of the source. */
  function isSameFile(found: Found): boolean {
    const isLabelled = label !== null && found.disposition === label
    return canBeOurs(found) && !verify && isLabelled && found.length === source.size
  }

  /** Whether an incomplete resource can be accepted without a comparison. */
  function canBeOurs(found: Found): boolean {
    return !found.complete && !isDistrusted && fits(found)
  }

  /** Whether a resource is at most as long as the source, and has not declared another length. */
  function fits({ size, length }: Found): boolean {
    const whole = source.size ?? length ?? size
    return size <= whole && (length ?? whole) === whole
  }

  /**
   * Whether all stored bytes are the first bytes of the source; null if the client can't find out.
   * Prefers the reasons that need no request.
   */
  async function compare(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, complete, disposition } = found
    if (!fits(found)) return false
    if (size === 0 && !complete) return true
    const isOther = label !== null && disposition !== null && disposition !== label
    // With `overwrite` the file is replaced in any case, so that reading all of it would be wasted
    // time. And a stream that was read for a comparison could not be sent afterwards.
    if (overwrite && (source.once || (complete && isOther))) return null
    return (await hasSameBytes(connection, found, source, hash)) ?? (isOther ? false : null)
  }

  return {
    known: () => known,
    received: () => received,
    isProven: () => isProven,
    hasWritten: () => hasWritten,
    isOwn: (found) => hasWritten && isWithin(found, attempted),
    startOver: (etag) => {
      known = etag
      received = 0
      highWater = 0
      attempted = 0
      isProven = true
      isOurs = false
    },
    begin: (end) => {
      attempted = end
    },
    sent: (end) => {
      highWater = Math.max(highWater, end)
    },
    lose: () => {
      hasWritten = true
      hasTried ||= known === null
    },
    refuse: () => {
      highWater = received
      attempted = received
    },
    distrust: () => {
      isDistrusted = true
      isOurs = false
    },
    acknowledge: (start, end, response) => {
      // A request that starts at the first byte proves everything by itself. A later one only adds
      // to the proof if `If-Match` named the tag of a proven version. The answer itself proves
      // nothing after a redirection, because it may describe another resource, nor if it is a web
      // page. If it has the tag of the version before, the server has stored nothing.
      const made = madeVersion(response) ?? ''
      const isBound = start === 0 || (isProven && known !== '')
      const isNew = !known || made !== known
      isProven = isBound && isNew && !response.redirected && !isPage(response)
      hasWritten = true
      isOurs = true
      known = made
      received = end
      highWater = Math.max(highWater, end)
    },
    accept,
  }
}
