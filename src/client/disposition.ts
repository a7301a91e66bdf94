/** The name and the modification date of a source, which the server stores and sends back. */
import type { ByteSource } from './source/byte-source.ts'

/** Longest value that servers of this library accept, in bytes. */
const MAX_LENGTH = 1024

/**
 * A `Content-Disposition` with `filename*` (RFC 6266, RFC 8187) and `modification-date` (RFC 2183), in
 * whole seconds. Null for a source without a name, without a date of four-digit year, or with a name
 * that is too long. Two files with the same value are likely to be the same file.
 */
export function formatDisposition({ name = '', lastModified }: ByteSource): string | null {
  const date = new Date(lastModified ?? '').toUTCString()
  // Not encodeURIComponent, which throws on half a surrogate pair, and leaves characters as they are that
  // the field does not allow.
  const encoded = new URLSearchParams({ '': name }).toString()
  const value = encoded.slice(1).replaceAll('+', '%20').replaceAll('*', '%2A')
  const field = `attachment; filename*=UTF-8''${value}; modification-date="${date}"`
  return name && field.length <= MAX_LENGTH && / \d{4} /.test(date) ? field : null
}
