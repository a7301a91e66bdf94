/** Digests as the fields `Content-Digest` and `Repr-Digest` have them. */
import { createHash } from 'node:crypto'

/** Returns the digest of `bytes` as a field value (RFC 9530), such as `sha-256=:…:`. */
export function digest(
  bytes: string | Uint8Array,
  algorithm: 'sha-256' | 'sha-512' = 'sha-256',
): string {
  const hash = createHash(algorithm.replace('-', '')).update(bytes).digest('base64')
  return `${algorithm}=:${hash}:`
}
