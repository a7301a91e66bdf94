/**
 * Compares digests that a client has announced (RFC 9530) with those of the bytes that have
 * arrived.
 */
import { UploadError } from '../errors.ts'
import { parseDigest, verifiableDigest, type Digest } from '../fields/digest.ts'
import { createRunningDigest } from './hashing.ts'

/** A running comparison of bytes with the digests that were announced for them. */
export interface DigestCheck {
  /** Hashes further bytes. */
  update(bytes: Uint8Array): void
  /**
   * Returns the first algorithm whose digest differs; null if all match. Called once, after the
   * last byte.
   */
  mismatch(): Digest['algorithm'] | null
}

/** Creates a check of bytes against the digests that were announced for them. */
export function createDigestCheck(announced: readonly Digest[]): DigestCheck {
  const running = createRunningDigest(announced.map(({ algorithm }) => algorithm))
  return {
    update: (bytes) => running.update(bytes),
    mismatch: () => findMismatch(announced, running.digest()),
  }
}

/**
 * Returns the first algorithm whose digest is not in `actual`; null if `actual` has all digests of
 * `announced`.
 */
export function findMismatch(
  announced: readonly Digest[],
  actual: readonly Digest[],
): Digest['algorithm'] | null {
  const isWrong = ({ algorithm, value }: Digest): boolean =>
    !actual.some((digest) => digest.algorithm === algorithm && isEqual(digest.value, value))
  return announced.find(isWrong)?.algorithm ?? null
}

/**
 * Joins the `Repr-Digest` values of one request, from header, parts and trailer, because the
 * resource has to match all of them; null if there are none. The values are those that
 * `verifiableDigest` returns.
 *
 * @throws UploadError `ERR_REPR_DIGEST` if two digests of one algorithm differ. The parser keeps
 * the last one, so that the other one would be ignored.
 */
export function joinReprDigests(values: readonly (string | null)[]): string | null {
  const given = values.filter((value) => value !== null)
  const [first = null, ...others] = given
  if (others.length === 0) return first
  const joined = verifiableDigest(given.join(', '))
  const all = parseDigest(joined ?? '')
  if (given.every((value) => findMismatch(parseDigest(value), all) === null)) return joined
  throw new UploadError('ERR_REPR_DIGEST', {
    detail: 'the request has different values of Repr-Digest',
  })
}

/** Makes the error for content that does not match its `Content-Digest`. */
export function wrongContent(algorithm: Digest['algorithm']): UploadError {
  return new UploadError('ERR_CONTENT_DIGEST', {
    detail: `the ${algorithm} of the content differs from the announced digest`,
  })
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, index) => byte === b[index])
}
