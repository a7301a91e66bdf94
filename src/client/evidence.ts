/**
 * What a client knows of the bytes at the server.
 *
 * An upload is complete when the server holds exactly the bytes of the source, proven by answers to
 * requests of this client, each under the condition of the one before, or by a digest of the whole.
 * What is only likely, because a connection broke or another process began the upload, decides where
 * to resume. The last segment then carries the digest of the whole, which the server checks.
 */
import { hasSameBytes } from './comparison.ts'
import type { SourceHash } from './digest.ts'
import { isSameFile } from './disposition.ts'
import type { Connection } from './exchange.ts'
import type { UploadOptions } from './options.ts'
import type { Found } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The knowledge of one upload. */
export interface Evidence {
  /** Bytes, from the beginning, that are or may be those of the source. */
  readonly received: () => number
  /** Whether these bytes are proven to be those of the source in the version that was named last. */
  readonly isProven: () => boolean
  /** Whether this call has brought bytes to the server, or may have. */
  readonly hasWritten: () => boolean
  /** The next segment begins anew: on nothing, or over the version with this tag. */
  readonly startOver: (etag: string | null) => void
  /** Takes note that bytes up to `end` have left. */
  readonly sent: (end: number) => void
  /** A request under the condition `before` got no answer. */
  readonly lose: (before: string | null) => void
  /** An answer has said that nothing of the last request was stored. */
  readonly refuse: () => void
  /** The server has found the digest of the whole wrong. */
  readonly distrust: () => void
  /** The server has stored a segment, which has made a version with this tag. */
  readonly acknowledge: (
    start: number,
    end: number,
    before: string | null,
    tag: string | null,
  ) => void
  /**
   * Whether the stored bytes are the source, or its beginning, for all that is known: true makes the
   * upload resume behind them. Null if it can't be known.
   *
   * @throws ClientError
   */
  readonly accept: (connection: Connection, found: Found) => Promise<boolean | null>
}

/** Begins with no knowledge. */
export function createEvidence(
  source: ByteSource,
  hash: SourceHash,
  { overwrite, verify }: UploadOptions,
): Evidence {
  /** The tag of the version of which the first `received` bytes are known; '' without a tag. */
  let known: string | null = null
  let received = 0
  /** One past the last byte that this client may have brought there. */
  let reach = 0
  let isProven = true
  /** The incomplete resource is this upload, or is likely to be. */
  let isOurs = false
  /** The answer to a creation was lost. */
  let hasTried = false
  let hasWritten = false
  /** What was likely has turned out to be wrong. */
  let isDistrusted = false

  async function accept(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, etag, complete } = found
    if (!complete && isOurs && etag !== null && etag === known && size === received) return true
    const isLikely = !complete && isLikelyOurs(found)
    const isSame = isLikely || (await compare(connection, found))
    if (!isSame || complete) return isSame
    known = etag ?? ''
    received = size
    reach = Math.max(reach, size)
    // A digest is one of a version, to which the next request can be bound only by its tag.
    isProven = size === 0 || (!isLikely && etag !== null)
    isOurs = true
    return true
  }

  /** Whether an incomplete resource is likely to be this upload. */
  function isLikelyOurs({ size, length, disposition }: Found): boolean {
    if (isDistrusted || length !== (source.size ?? length)) return false
    // A browser may not have reported all that has left, and a stream can't be read again.
    const isInReach = size >= received && size <= (source.once ? Infinity : reach)
    if ((isOurs || hasTried) && isInReach) return true
    return !verify && length !== null && size <= length && isSameFile(disposition, source) === true
  }

  /** Whether the stored bytes are the source, or its beginning; null if that can't be known. */
  async function compare(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, length, complete, disposition } = found
    const whole = source.size ?? length ?? size
    if (size > whole || (length ?? whole) !== whole) return false
    if (size === 0 && !complete) return true
    const isOther = isSameFile(disposition, source) === false
    // What is replaced anyway is not worth reading, and a stream can be read only once.
    if (overwrite && (source.once || (complete && isOther))) return null
    return (await hasSameBytes(connection, found, source, hash)) ?? (isOther ? false : null)
  }

  return {
    received: () => received,
    isProven: () => isProven,
    hasWritten: () => hasWritten,
    startOver: (etag) => {
      known = etag
      received = 0
      reach = 0
      isProven = true
      isOurs = false
    },
    sent: (end) => {
      reach = Math.max(reach, end)
    },
    lose: (before) => {
      hasWritten = true
      hasTried ||= before === null
    },
    refuse: () => {
      reach = received
    },
    distrust: () => {
      isDistrusted = true
      isOurs = false
    },
    acknowledge: (start, end, before, tag) => {
      // From the beginning a request proves all by itself; later ones need the tag of a proven version.
      isProven = start === 0 || (isProven && before !== '')
      hasWritten = true
      isOurs = true
      known = tag
      received = end
      reach = Math.max(reach, end)
    },
    accept,
  }
}
