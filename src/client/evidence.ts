/**
 * What an upload knows about the bytes on the server.
 *
 * An upload is complete when the server holds exactly the bytes of the source. Proof of that are either
 * the answers to this client's own requests, each of which was bound to the version that the one before
 * has made, or a digest of the whole. Where a connection broke or an earlier call began the upload, the
 * stored bytes are only likely to be those of the source. They decide where to resume, and the last
 * segment then carries the digest of the whole, which the server verifies.
 */
import { isPage, madeVersion } from './answer.ts'
import { hasSameBytes } from './comparison.ts'
import type { SourceHash } from './digest.ts'
import { formatDisposition } from './disposition.ts'
import type { Connection } from './exchange.ts'
import type { UploadOptions } from './options.ts'
import type { Found } from './resource.ts'
import type { ByteSource } from './source/byte-source.ts'

/** The knowledge of one upload. */
export interface Evidence {
  /**
   * Entity tag of the version that the next request continues or replaces, '' for one without a tag, null
   * if the resource does not exist.
   */
  readonly known: () => string | null
  /** Number of leading bytes that are, or are likely to be, those of the source. */
  readonly received: () => number
  /** Whether these bytes are proven to be those of the source in the version that was named last. */
  readonly isProven: () => boolean
  /** Whether this call has stored bytes on the server, or may have. */
  readonly hasWritten: () => boolean
  /** Whether an incomplete resource is the one that this call has written, or is likely to be. */
  readonly isOwn: (found: Found) => boolean
  /** The next request creates the resource (null), or replaces the version with this tag. */
  readonly startOver: (etag: string | null) => void
  /** A request with the bytes up to `end` begins. */
  readonly begin: (end: number) => void
  /** The bytes up to `end` have left this client, as far as the platform reports. */
  readonly sent: (end: number) => void
  /** The request got no answer. */
  readonly lose: () => void
  /** A refusal: nothing of the last request was stored. */
  readonly refuse: () => void
  /** The digest of the whole was wrong. */
  readonly distrust: () => void
  /** The server has stored a segment. */
  readonly acknowledge: (start: number, end: number, response: Response) => void
  /**
   * Whether the stored bytes are the source or its beginning, as far as is known. If true, the upload
   * resumes behind them; null if the server does not let the client find out.
   *
   * @throws ClientError
   */
  readonly accept: (connection: Connection, found: Found) => Promise<boolean | null>
}

/** Begins without knowledge. */
export function createEvidence(
  source: ByteSource,
  hash: SourceHash,
  { overwrite, verify }: UploadOptions,
): Evidence {
  let known: string | null = null
  let received = 0
  /** One past the last byte that this call has sent, as far as the platform reports. */
  let highWater = 0
  /** One past the last byte that this call may have sent: a browser reports bytes after they have left. */
  let attempted = 0
  let isProven = true
  /** The incomplete resource is this upload, or is likely to be. */
  let isOurs = false
  /** A request to create the resource got no answer. */
  let hasTried = false
  let hasWritten = false
  /** Bytes that were likely to be those of the source have turned out to be others. */
  let isDistrusted = false
  const label = formatDisposition(source)

  async function accept(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, etag, complete } = found
    if (!complete && isOurs && etag !== null && etag === known && size === received) return true
    // A stream can't be read again to compare it.
    const isLikely = isWithin(found, source.once ? attempted : highWater) || isSameFile(found)
    const isSame = isLikely || (await compare(connection, found))
    if (!isSame || complete) return isSame
    known = etag ?? ''
    received = size
    highWater = Math.max(highWater, size)
    // A digest describes one version, and only a tag can bind the next request to that version.
    isProven = size === 0 || (!isLikely && etag !== null)
    isOurs = true
    return true
  }

  /** Whether an incomplete resource is as long as this call may have made it by sending up to `end`. */
  function isWithin(found: Found, end: number): boolean {
    return canBeOurs(found) && (isOurs || hasTried) && found.size >= received && found.size <= end
  }

  /** Whether an incomplete resource has the name, the date and the length of the source. */
  function isSameFile(found: Found): boolean {
    const isLabelled = label !== null && found.disposition === label
    return canBeOurs(found) && !verify && isLabelled && found.length === source.size
  }

  function canBeOurs(found: Found): boolean {
    return !found.complete && !isDistrusted && fits(found)
  }

  /** Whether a resource is no longer than the source, and will not have another length. */
  function fits({ size, length }: Found): boolean {
    const whole = source.size ?? length ?? size
    return size <= whole && (length ?? whole) === whole
  }

  async function compare(connection: Connection, found: Found): Promise<boolean | null> {
    const { size, complete, disposition } = found
    if (!fits(found)) return false
    if (size === 0 && !complete) return true
    const isOther = label !== null && disposition !== null && disposition !== label
    // A file that is replaced anyway is not worth reading, and a stream can be read only once.
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
      // A request from the first byte on proves all by itself, and a later one has to be bound by the
      // tag of a proven version. The answer may be one about another resource, and a server that repeats
      // the tag of the version before has stored nothing.
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
