/**
 * Parses and formats `Content-Digest`, `Repr-Digest` and `Want-Repr-Digest` (RFC 9530). Hashes are
 * computed elsewhere, because this folder also runs outside Node.
 */
import { UploadError } from '../errors.ts'
import { KEY, PARAMETERS } from './structured-field.ts'
import { trimWhitespace } from './syntax.ts'

/** A digest whose algorithm is one of the two that RFC 9530 §5 calls active. */
export interface Digest {
  /** Name of the algorithm. */
  readonly algorithm: 'sha-256' | 'sha-512'
  /** The digest: 32 or 64 bytes. */
  readonly value: Uint8Array
}

/**
 * The algorithms that are verified. Others, such as `md5`, are ignored, because they prove nothing.
 */
export const ALGORITHMS: readonly Digest['algorithm'][] = ['sha-256', 'sha-512']

/** Length of each digest in bytes. */
const DIGEST_SIZES: Readonly<Record<Digest['algorithm'], number>> = { 'sha-256': 32, 'sha-512': 64 }

// A dictionary of byte sequences with parameters: RFC 8941 §3.2, §3.3.5, §3.1.2.
const BYTES = ':([A-Za-z0-9+/]*={0,2}):'
const MEMBER = new RegExp(`(${KEY})=${BYTES}${PARAMETERS}`, 'y')
const PREFERENCE = new RegExp(`^(${KEY})=(10|[0-9])${PARAMETERS}$`)
const SEPARATOR = /[ \t]*,[ \t]*(?!$)/y

/**
 * Reads the digests of a `Content-Digest` or a `Repr-Digest`. Members with other algorithms than
 * `ALGORITHMS` are ignored. A malformed field is an error and not ignored, because the client
 * relies on the verification.
 *
 * @throws UploadError `ERR_FIELD` for a malformed field or a digest of the wrong length.
 */
export function parseDigest(field: string): readonly Digest[] {
  const text = trimWhitespace(field)
  const members = new Map<string, string>()
  let at = 0
  while (at < text.length) {
    at = at === 0 ? 0 : advance(SEPARATOR, text, at)
    const [, key = '', base64 = ''] = match(MEMBER, text, at)
    // The last of several members with one name counts (RFC 8941 §4.2.2).
    members.set(key, base64)
    at = MEMBER.lastIndex
  }
  return [...members].flatMap(([key, base64]) => toDigest(key, base64))
}

/**
 * Returns the digests of a `Repr-Digest` that can be verified, as the value of one field; null if
 * there are none. This value is stored with the resource.
 *
 * @throws UploadError `ERR_FIELD`
 */
export function verifiableDigest(field: string | null): string | null {
  const digests = field === null ? [] : parseDigest(field)
  return digests.length === 0 ? null : digests.map(formatDigest).join(', ')
}

/**
 * Returns the algorithm of `ALGORITHMS` that a `Want-Repr-Digest` prefers (RFC 9530 §4); null if it
 * accepts neither. If both are preferred equally, sha-256 wins. A malformed field is ignored,
 * because the field is only a preference.
 */
export function wantedAlgorithm(field: string | null): Digest['algorithm'] | null {
  const preferences = new Map<string, number>()
  for (const member of (field ?? '').split(',')) {
    const [, key, preference] = PREFERENCE.exec(trimWhitespace(member)) ?? []
    if (key === undefined) return null
    preferences.set(key, Number(preference))
  }
  const [sha256 = 0, sha512 = 0] = [preferences.get('sha-256'), preferences.get('sha-512')]
  if (sha256 === 0 && sha512 === 0) return null
  return sha512 > sha256 ? 'sha-512' : 'sha-256'
}

/** Formats a digest as a member of the field: `sha-256=:…:`. */
export function formatDigest({ algorithm, value }: Digest): string {
  return `${algorithm}=:${btoa(String.fromCharCode(...value))}:`
}

/** Matches a pattern at a position, and returns the position after it. */
function advance(pattern: RegExp, text: string, at: number): number {
  match(pattern, text, at)
  return pattern.lastIndex
}

/** Matches a pattern at a position, or throws. */
function match(pattern: RegExp, text: string, at: number): RegExpExecArray {
  pattern.lastIndex = at
  const found = pattern.exec(text)
  if (!found) throw malformed('the digest field is not a dictionary of byte sequences')
  return found
}

/** Decodes a member. Returns a list, because a member of another algorithm yields no digest. */
function toDigest(algorithm: string, base64: string): readonly Digest[] {
  const value = decode(base64)
  if (algorithm !== 'sha-256' && algorithm !== 'sha-512') return []
  const size = DIGEST_SIZES[algorithm]
  if (value.length !== size) {
    throw malformed(`the ${algorithm} digest has ${value.length} bytes instead of ${size}`)
  }
  return [{ algorithm, value }]
}

function decode(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw malformed('a byte sequence of the digest field is not base64', cause)
  }
}

function malformed(detail: string, cause?: unknown): UploadError {
  return new UploadError('ERR_FIELD', { detail, cause })
}
