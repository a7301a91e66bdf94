/** What PATCH and PUT require of content before and while it is read. */
import { UploadError } from '../../errors.ts'
import { isIdentity } from '../../fields/syntax.ts'
import { ALGORITHMS, parseDigest, type Digest } from '../../fields/digest.ts'
import { findMismatch, wrongContent } from '../digest-check.ts'
import { createRunningDigest } from '../hashing.ts'
import type { Body, HandlerRequest, RequestHeaders } from '../http.ts'
import { inSlices } from '../yielding.ts'

/**
 * Refuses content that is coded in another way than in chunks.
 *
 * @throws UploadError `ERR_TRANSFER_CODING`, after which the connection can't be used.
 */
export function checkTransferCoding(headers: RequestHeaders): void {
  const coding = headers.get('transfer-encoding')
  if (coding === null || coding.trim().toLowerCase() === 'chunked') return
  throw new UploadError('ERR_TRANSFER_CODING', {
    detail: 'expected no transfer coding but chunked',
    headers: { Connection: 'close' },
  })
}

/**
 * Refuses coded content: the coding would apply to the patch document, not to the resource.
 *
 * @throws UploadError `ERR_CONTENT_CODING`
 */
export function checkContentCoding(headers: RequestHeaders): void {
  if (isIdentity(headers.get('content-encoding') ?? '')) return
  throw new UploadError('ERR_CONTENT_CODING', {
    detail: 'expected content without a Content-Encoding',
    headers: { 'Accept-Encoding': 'identity' },
  })
}

/**
 * Refuses content that is known to be too long.
 *
 * @throws UploadError `ERR_CONTENT_LIMIT`
 */
export function checkContentLength(length: number | null, limit: number): void {
  if (length === null || length <= limit) return
  throw tooLong(limit)
}

/**
 * The digests that a header or a trailer gives for the content (RFC 9530 §2); empty if none can be
 * verified.
 */
export function contentDigests(fields: RequestHeaders | null): readonly Digest[] {
  const field = fields?.get('content-digest') ?? null
  return field === null ? [] : parseDigest(field)
}

/** How content is read. */
export interface ContentOptions {
  /** Length that the client gives; null if unknown. */
  readonly length: number | null
  /** Most bytes that are accepted. */
  readonly limit: number
  /** Content of at most this length is read whole; 0 for content that is of use in part. */
  readonly bufferSize: number
  /** What the content must match. */
  readonly digests: readonly Digest[]
  /** Content that must also match the digests of the trailer is hashed for them while it arrives. */
  readonly verifiesTrailer: boolean
}

/** Content, either read whole already or to be streamed. */
export interface Content {
  /** Whether `body` is known to its end, and checked. */
  readonly isWhole: boolean
  /** The content. */
  readonly body: Body
  /** Whether `body` throws at its end for a wrong `Content-Digest` in the trailer. */
  readonly verifiesTrailer: boolean
}

/**
 * Begins to read content, which makes the server say 100 Continue.
 *
 * @throws UploadError `ERR_CONTENT_LIMIT`, `ERR_CONTENT_DIGEST`: here, or at the end of a streamed body.
 */
export async function readContent(
  request: HandlerRequest,
  options: ContentOptions,
): Promise<Content> {
  const { length, bufferSize, digests, verifiesTrailer } = options
  const trailers = verifiesTrailer ? request.trailers : null
  if (length === null || length > bufferSize) {
    const isChecked = length !== null && digests.length === 0 && trailers === null
    const body = isChecked ? request.body : guard(request.body, options, trailers)
    return { isWhole: false, body, verifiesTrailer }
  }
  const chunks: (readonly Uint8Array[])[] = []
  for await (const batch of guard(once(request.readAll()), options, trailers)) chunks.push(batch)
  return { isWhole: true, body: each(chunks), verifiesTrailer }
}

/** Counts and hashes the content on its way. */
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
    if (algorithms.length > 0) {
      for await (const slice of inSlices(chunks)) running.update(slice)
    }
    yield chunks
  }
  const wrong = findMismatch([...digests, ...contentDigests(trailers)], running.digest())
  if (wrong !== null) throw wrongContent(wrong)
}

async function* once(bytes: Promise<Uint8Array>): Body {
  yield [await bytes]
}

async function* each(batches: Iterable<readonly Uint8Array[]>): Body {
  yield* batches
}

function tooLong(limit: number): UploadError {
  return new UploadError('ERR_CONTENT_LIMIT', {
    detail: `expected at most ${limit} bytes of content`,
    headers: { Connection: 'close' },
    members: { limit },
  })
}
