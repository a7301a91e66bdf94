/** Checks the header of a PATCH or PUT, and limits and verifies its content while it is read. */
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

/** The fields of a PATCH or a PUT that describe its content. */
export interface ContentHeader<T> {
  /** The result of `readType`. */
  readonly type: T
  /** The digests that the content must match. */
  readonly digests: readonly Digest[]
  /** Whether `Trailer` announces a `Content-Digest` in the trailer section. */
  readonly announcesDigest: boolean
  /** The digests that the whole resource must match, as one field; null if none can be verified. */
  readonly reprDigest: string | null
  /** The transaction that `Prefer` asks for; null if none. */
  readonly preferred: Transaction | null
}

/**
 * Checks the header of a PATCH or a PUT, and throws for the first failure. `readType` reads the media type of the
 * patch or of the resource. `limitOf` returns the largest content of that type, in bytes.
 *
 * @throws UploadError `ERR_TRANSFER_CODING`, `ERR_CONTENT_CODING`, `ERR_CONTENT_LIMIT`, `ERR_FIELD`, and the errors
 * of `readType`.
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

/** Closes the connection after another transfer coding, because the end of the message can't be found. */
function checkTransferCoding(headers: RequestHeaders): void {
  const coding = headers.get('transfer-encoding')
  if (coding === null || coding.trim().toLowerCase() === 'chunked') return
  throw new UploadError('ERR_TRANSFER_CODING', {
    detail: 'expected no transfer coding but chunked',
    headers: { Connection: 'close' },
  })
}

/** Refuses a content coding, because it would apply to the patch document, not to the resource. */
function checkContentCoding(headers: RequestHeaders): void {
  if (isIdentity(headers.get('content-encoding') ?? '')) return
  throw new UploadError('ERR_CONTENT_CODING', {
    detail: 'expected content without a Content-Encoding',
    headers: { 'Accept-Encoding': 'identity' },
  })
}

/** Whether the header announces a `Content-Digest` in the trailer (RFC 9110 §6.6.2). */
function announcesContentDigest(headers: RequestHeaders): boolean {
  const names = headers.get('trailer')
  return names?.split(',').some((name) => name.trim().toLowerCase() === 'content-digest') ?? false
}

/**
 * Returns the digests of `Content-Digest` in a header or a trailer (RFC 9530 §2); empty if none can be verified.
 *
 * @throws UploadError `ERR_FIELD` for a malformed field.
 */
export function contentDigests(fields: RequestHeaders | null): readonly Digest[] {
  const field = fields?.get('content-digest') ?? null
  return field === null ? [] : parseDigest(field)
}

/**
 * Largest atomic content, in bytes, that is read completely before the lock is acquired. A slow client of a small
 * patch then does not block other writers.
 */
const WHOLE_SIZE = 64 * 1024

/**
 * Returns the largest content of a PATCH, in bytes: the largest resource plus the header of each part. Without this
 * limit a multipart patch could send the same bytes any number of times, because parts may overlap.
 */
export function patchLimit({ maxSize, maxParts, maxPartHeaderSize }: Limits): number {
  return maxSize + maxParts * maxPartHeaderSize
}

/** How content is read. */
export interface ContentOptions {
  /** Announced length in bytes; null if unknown. */
  readonly length: number | null
  /** Largest accepted content, in bytes. Beyond it: 413 `ERR_CONTENT_LIMIT`. */
  readonly limit: number
  /** Whether the content is applied completely or not at all. Small content is then read and checked first. */
  readonly isAtomic: boolean
  /** Digests that the content must match. */
  readonly digests: readonly Digest[]
  /** Whether the content is hashed while it arrives, to verify the `Content-Digest` of the trailer. */
  readonly verifiesTrailer: boolean
}

/** Content that was read completely, or that is read from the client while `body` is iterated. */
export interface Content {
  /** Whether all content has been read and checked. */
  readonly isWhole: boolean
  /** The content. */
  readonly body: Body
  /** Whether `body` throws at its end for a wrong `Content-Digest` in the trailer. */
  readonly verifiesTrailer: boolean
}

/**
 * Begins to read content. The server then sends 100 Continue.
 *
 * @throws UploadError `ERR_CONTENT_LIMIT`, `ERR_CONTENT_DIGEST`: here, or at the end of a streamed body.
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

/** Counts and hashes the content while it is read. */
async function* guard(
  body: Body,
  { limit, digests }: ContentOptions,
  trailers: RequestHeaders | null,
): Body {
  // Only the trailer itself shows by which algorithm it verifies the content.
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
