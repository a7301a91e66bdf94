/**
 * Verifies the digests in the trailer section (RFC 9110 §6.5, RFC 9530), which arrive after the
 * content.
 */
import { verifiableDigest, type Digest } from '../../fields/digest.ts'
import { createDigestCheck, joinReprDigests, wrongContent } from '../digest-check.ts'
import type { RequestHeaders } from '../http.ts'
import type { Writer } from '../../storage/adapter.ts'
import { inSlices } from '../yielding.ts'
import { contentDigests } from './content.ts'

/** The content and the digest with which the digests of the trailer are compared. */
export interface TrailerOptions {
  /**
   * Reads the written content back; null if `Content-Digest` was verified while the content
   * arrived.
   */
  readonly readBack: (() => AsyncIterable<Uint8Array>) | null
  /** The `Repr-Digest` of the header, and that of the parts; null for each that is absent. */
  readonly reprDigests: readonly (string | null)[]
}

/**
 * Verifies the `Content-Digest` of the trailer, and returns the `Repr-Digest` that the resource
 * must match, from header, parts and trailer; null if none. If a digest is wrong or malformed, the
 * writer is rolled back.
 *
 * @throws UploadError `ERR_CONTENT_DIGEST`, `ERR_REPR_DIGEST` or `ERR_FIELD`.
 */
export async function checkTrailer(
  trailers: RequestHeaders | null,
  writer: Writer,
  { readBack, reprDigests }: TrailerOptions,
): Promise<string | null> {
  try {
    if (readBack !== null) await checkContentDigest(contentDigests(trailers), readBack)
    const inTrailer = verifiableDigest(trailers?.get('repr-digest') ?? null)
    return joinReprDigests([...reprDigests, inTrailer])
  } catch (error) {
    await writer.rollback()
    throw error
  }
}

/**
 * Reads the content back to verify a digest that the header has not announced. Hashing all chunked
 * content while it arrives would slow down every chunked upload, with both algorithms because the
 * trailer may name either, and hardly any upload has such a trailer.
 */
async function checkContentDigest(
  digests: readonly Digest[],
  readBack: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  if (digests.length === 0) return
  const check = createDigestCheck(digests)
  await inSlices(readBack(), (slice) => check.update(slice))
  const wrong = check.mismatch()
  if (wrong !== null) throw wrongContent(wrong)
}
