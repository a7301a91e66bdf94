/** Writes the headers of patch documents, around data that need not be in memory. */

/** Fields by name; those without a value are left out. */
export type Fields = Readonly<Record<string, string | null | undefined>>

/** The header of a part, with its blank line. */
export function encodeHeader(fields: Fields): Blob {
  const lines = Object.entries(fields).map(([name, value]) =>
    value ? `${name}: ${value}\r\n` : '',
  )
  return new Blob([...lines, '\r\n'])
}

/**
 * The `Content-Range` of data; without data it tells the complete length alone, null if that is
 * unknown or not to be told.
 */
export function contentRange(start: number, size: number, completeLength?: number | null): string {
  // Not formatContentRange: its file brings the parsers of a server into the browser's bundle.
  const range = size > 0 ? `${start}-${start + size - 1}` : '*'
  return `bytes ${range}/${completeLength ?? '*'}`
}
