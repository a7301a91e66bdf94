/**
 * Checks the header of a PATCH or PUT, and then reads the content: it is counted, compared with its
 * digest, and, if it is small and atomic, read completely before the lock is acquired.
 */
import { UploadError } from '../../errors.ts'
import { isIdentity } from '../../fields/syntax.ts'
import { ALGORITHMS, parseDigest, verifiableDigest, type Digest } from '../../fields/digest.ts'
import { preferredTransaction } from '../../fields/prefer.ts'
import { findMismatch, wrongContent } from '../digest-check.ts'
import { createRunningDigest } from '../hashing.ts'
import type { Body, HandlerRequest, RequestHeaders } from '../http.ts'
import type { Limits } from '../../options.ts'
import type { Transaction } from '../../storage/adapter.ts'
import { inSlices } from '../yielding.ts'

/** The values of the fields of a PATCH or a PUT that describe its content. */
export interface ContentHeader<T> {
  /**
   * The result of `readType`: the patch format of a PATCH, or the description of the resource in a
   * PUT.
   */
  readonly type: T
  /** The digests that the content must match. */
  readonly digests: readonly Digest[]
  /** Whether `Trailer` announces that a `Content-Digest` follows the content. */
  readonly announcesDigest: boolean
  /** The digests that the whole resource must match, as one field; null if none can be verified. */
  readonly reprDigest: string | null
  /** The transaction that `Prefer` asks for; null if none. */
  readonly preferred: Transaction | null
}

/**
 * Checks the header of a PATCH or a PUT, in the order that the most fundamental error is reported
 * first.
 *
 * @param readType Reads the media type of the patch, or the fields that describe the resource.
 * @param limitOf Returns the largest content of that type, in bytes.
 * @throws UploadError `ERR_TRANSFER_CODING`, `ERR_CONTENT_CODING`, `ERR_CONTENT_LIMIT`,
 * `ERR_FIELD`, and the errors of `readType`.
 */
export function readContentHeader<T>(
  { headers, contentLength }: HandlerRequest,
  readType: () => T,
  limitOf: (type: T) => number,
): ContentHeader<T> {
  checkTransferCoding(headers)
  const type = readType()
  const limit = limitOf(type)
  checkContentCoding(headers)
  if (contentLength !== null && contentLength > limit) throw tooLong(limit)
  return {
    type,
    digests: contentDigests(headers),
    announcesDigest: announcesContentDigest(headers),
    reprDigest: verifiableDigest(headers.get('repr-digest')),
    preferred: preferredTransaction(headers.get('prefer')),
  }
}

/**
 * Refuses a transfer coding other than chunked. The connection is closed, because without decoding
 * it the end of the message can't be found.
 */
function checkTransferCoding(headers: RequestHeaders): void {
  const coding = headers.get('transfer-encoding')
  if (coding === null || coding.trim().toLowerCase() === 'chunked') return
  throw new UploadError('ERR_TRANSFER_CODING', {
    detail: 'expected no transfer coding but chunked',
    headers: { Connection: 'close' },
  })
}

/**
 * Refuses a content coding, such as gzip, because the positions in a patch count bytes that are not
 * coded.
 */
function checkContentCoding(headers: RequestHeaders): void {
  if (isIdentity(headers.get('content-encoding') ?? '')) return
  throw new UploadError('ERR_CONTENT_CODING', {
    detail: 'expected content without a Content-Encoding',
    headers: { 'Accept-Encoding': 'identity' },
  })
}

/**
 * Whether the field `Trailer` announces a `Content-Digest` in the trailer section (RFC 9110
 * §6.6.2).
 */
function announcesContentDigest(headers: RequestHeaders): boolean {
  const names = headers.get('trailer')
  return names?.split(',').some((name) => name.trim().toLowerCase() === 'content-digest') ?? false
}

/**
 * Returns the digests of the `Content-Digest` in a header or trailer section (RFC 9530 §2); empty
 * if none can be verified.
 *
 * @throws UploadError `ERR_FIELD` for a malformed field.
 */
export function contentDigests(fields: RequestHeaders | null): readonly Digest[] {
  const field = fields?.get('content-digest') ?? null
  return field === null ? [] : parseDigest(field)
}

/**
 * Largest atomic content, in bytes, that is read completely before the lock is acquired, so that a
 * slow client with a small patch does not block other writers. Larger content would need too much
 * memory.
 */
const WHOLE_SIZE = 64 * 1024

/**
 * Returns the largest content of a PATCH, in bytes: the largest resource plus the header of each
 * part. The size of the resource alone is not a limit, because the parts of a multipart patch may
 * overlap: a client could send the same bytes again without end.
 */
export function patchLimit({ maxSize, maxParts, maxPartHeaderSize }: Limits): number {
  return maxSize + maxParts * maxPartHeaderSize
}

/** How the content of a request is read. */
export interface ContentOptions {
  /** Announced length in bytes; null if unknown. */
  readonly length: number | null
  /** Largest accepted content, in bytes. Beyond it: 413 `ERR_CONTENT_LIMIT`. */
  readonly limit: number
  /**
   * Whether the content is applied completely or not at all. If so, small content is read before
   * the lock.
   */
  readonly isAtomic: boolean
  /** Digests that the content must match. */
  readonly digests: readonly Digest[]
  /**
   * Whether the content is hashed while it arrives, to verify the `Content-Digest` of the trailer.
   */
  readonly verifiesTrailer: boolean
}

/**
 * The content of a request: read completely, or received from the client while `body` is iterated.
 */
export interface Content {
  /** Whether all content has been read and checked. */
  readonly isWhole: boolean
  /** The chunks of the content, in batches. */
  readonly body: Body
  /** Whether `body` throws at its end for a wrong `Content-Digest` in the trailer. */
  readonly verifiesTrailer: boolean
}

/**
 * Begins to read the content. Small atomic content is read and checked to its end. The first read
 * makes the server send 100 Continue.
 *
 * @throws UploadError `ERR_CONTENT_LIMIT`, `ERR_CONTENT_DIGEST`: here, or at the end of a streamed
 * body.
 */
export async function readContent(
  request: HandlerRequest,
  options: ContentOptions,
): Promise<Content> {
  const { length, isAtomic, digests, verifiesTrailer } = options
  const trailers = verifiesTrailer ? request.trailers : null
  const isUnchecked = length !== null && digests.length === 0 && trailers === null
  if (!isAtomic || length === null || length > WHOLE_SIZE) {
    const body = isUnchecked ? request.body : guard(request.body, options, trailers)
    return { isWhole: false, body, verifiesTrailer }
  }
  const batches: (readonly Uint8Array[])[] = []
  const whole = batchesOf([[await request.readAll()]])
  const checked = isUnchecked ? whole : guard(whole, options, trailers)
  for await (const batch of checked) batches.push(batch)
  return { isWhole: true, body: batchesOf(batches), verifiesTrailer }
}

/** Yields the content while it counts and hashes it. Throws at the end if a digest differs. */
async function* guard(
  body: Body,
  { limit, digests }: ContentOptions,
  trailers: RequestHeaders | null,
): Body {
  // The algorithm of a digest in the trailer is not known before the end, so hash by all of them.
  const algorithms = trailers === null ? digests.map(({ algorithm }) => algorithm) : ALGORITHMS
  const running = createRunningDigest(algorithms)
  let size = 0
  for await (const chunks of body) {
    for (const chunk of chunks) size += chunk.byteLength
    if (size > limit) throw tooLong(limit)
    if (algorithms.length > 0) await inSlices(chunks, (slice) => running.update(slice))
    yield chunks
  }
  const wrong = findMismatch([...digests, ...contentDigests(trailers)], running.digest())
  if (wrong !== null) throw wrongContent(wrong)
}

/** Makes a body of content that is in memory. */
async function* batchesOf(batches: Iterable<readonly Uint8Array[]>): Body {
  yield* batches
}

function tooLong(limit: number): UploadError {
  return new UploadError('ERR_CONTENT_LIMIT', {
    detail: `expected at most ${limit} bytes of content`,
    headers: { Connection: 'close' },
    members: { limit },
  })
}
