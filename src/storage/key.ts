/** Keys of resources: which paths of URLs are keys, for all storages. */
import { UploadError } from '../errors.ts'

// A control character or a backslash has a special meaning on some system. A lone surrogate has no
// UTF-8 form, so that two different keys would become the same file name.
// oxlint-disable-next-line no-control-regex
const UNNAMEABLE = /[\u0000-\u001f\u007f\\\p{Cs}]/u

/**
 * Returns the key that the path of a URL names: the path without its leading slash, with each
 * segment percent-decoded.
 *
 * @throws UploadError `ERR_KEY` for bad percent-encoding, or for an encoded slash: `a%2Fb` must not
 * be another name of `a/b`.
 */
export function keyOfPath(path: string): string {
  return path.replace(/^\//, '').split('/').map(decodeSegment).join('/')
}

/**
 * Splits a key into its segments. None of them leads out of the directory of a store, on any file
 * system.
 *
 * @throws UploadError `ERR_KEY` for an empty or a dot segment, a backslash, a control character or
 * a lone surrogate.
 */
export function keySegments(key: string): readonly string[] {
  if (UNNAMEABLE.test(key)) {
    throw invalidKey('the path has a control character, a backslash or a broken surrogate pair')
  }
  const segments = key.split('/')
  if (segments.includes('')) throw invalidKey('the path has an empty segment')
  if (segments.includes('.') || segments.includes('..')) {
    throw invalidKey('the path has a dot segment')
  }
  return segments
}

/** Makes the error for a path that can't name a resource. */
export function invalidKey(detail: string, cause?: unknown): UploadError {
  return new UploadError('ERR_KEY', { detail, cause })
}

/**
 * Decodes one segment of a path. The path is split into segments before, because a decoded `%2F`
 * would look like a separator.
 */
function decodeSegment(segment: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(segment)
  } catch (cause) {
    throw invalidKey('the path is not percent-encoded UTF-8', cause)
  }
  if (decoded.includes('/')) throw invalidKey('a path segment contains an encoded slash')
  return decoded
}
