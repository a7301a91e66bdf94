/**
 * The name and the modification date of a source as a `Content-Disposition`. The server stores the
 * field and sends it back, so that a later call can recognize an incomplete upload of the same
 * file.
 */
import type { ByteSource } from './source/byte-source.ts'

/** Longest value that servers of this library accept, in bytes. */
const MAX_LENGTH = 1024

/**
 * Formats the field with `filename*` (RFC 6266, RFC 8187) and `modification-date` in whole seconds
 * (RFC 2183). Two files with the same value and the same length are likely to be the same file.
 *
 * Null if the source has no name or no date, if the name is too long, or if the year does not have
 * four digits, as the format of the date requires.
 */
export function formatDisposition({ name = '', lastModified }: ByteSource): string | null {
  const date = new Date(lastModified ?? '').toUTCString()
  // `encodeURIComponent` can't be used: it throws on half a surrogate pair, which names of files on
  // Windows may contain, and it does not encode `'`, `(` and `)`, which RFC 8187 does not allow.
  // URLSearchParams encodes them, but also encodes a space as `+` and leaves `*`.
  const encoded = new URLSearchParams({ '': name }).toString()
  const value = encoded.slice(1).replaceAll('+', '%20').replaceAll('*', '%2A')
  const field = `attachment; filename*=UTF-8''${value}; modification-date="${date}"`
  return name && field.length <= MAX_LENGTH && / \d{4} /.test(date) ? field : null
}
