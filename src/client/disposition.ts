/** The name and the modification date of a source, as they travel with it. */

/** What tells two files apart without their bytes. */
export interface Identity {
  /** Name of the file, without a folder. */
  readonly name: string
  /** When the file was changed last: milliseconds since 1970, of which whole seconds count. */
  readonly lastModified: number
}

/** Longest value that servers of this library take, in bytes. */
const MAX_LENGTH = 1024

/**
 * A `Content-Disposition` with `filename*` (RFC 6266, RFC 8187) and `modification-date` (RFC 2183);
 * null for a source without a name or a date of four-digit year, and for a name that is too long.
 */
export function formatDisposition({ name, lastModified }: Partial<Identity>): string | null {
  const date = new Date(lastModified ?? Number.NaN).toUTCString()
  if (!name) return null
  // Half of a surrogate pair has no encoding in UTF-8.
  const encoded = encodeURIComponent(name.replace(/\p{Surrogate}/gu, '\uFFFD')).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const field = `attachment; filename*=UTF-8''${encoded}; modification-date="${date}"`
  return field.length <= MAX_LENGTH && / \d{4} /.test(date) ? field : null
}

/**
 * Whether a `Content-Disposition` of the server names the same file; null if it has no name and date,
 * or the source has none.
 */
export function isSameFile(field: string | null, source: Partial<Identity>): boolean | null {
  const expected = partsOf(formatDisposition(source))
  const found = partsOf(field)
  return expected && found && expected.join() === found.join()
}

/** The encoded name, and the time in milliseconds. */
function partsOf(field: string | null): readonly unknown[] | null {
  const name = /filename\*=UTF-8''([^;\s]+)/i.exec(field ?? '')?.[1]
  const date = /modification-date="([^"]+)"/i.exec(field ?? '')?.[1]
  if (name === undefined || date === undefined) return null
  try {
    return [decodeURIComponent(name), Date.parse(date)]
  } catch {
    return null
  }
}
