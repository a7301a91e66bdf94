/** The headers of patch documents. Their data need not be in memory. */

/** Fields by name. Those without a value are not sent. */
export type Fields = Readonly<Record<string, string | null | undefined>>

/** The header of a part, with its blank line, after the delimiter of the part. */
export function encodeHeader(fields: Fields, delimiter: string = ''): Blob {
  const lines = Object.entries(fields).map(([name, value]) =>
    value ? `${name}: ${value}\r\n` : '',
  )
  return new Blob([delimiter, ...lines, '\r\n'])
}

/**
 * The `Content-Range` of `size` bytes from `start` on. Without data it declares the complete length
 * alone. The complete length is `*` if it is null or not given.
 */
export function contentRange(start: number, size: number, completeLength?: number | null): string {
  // Not formatContentRange, because its file would bring the server's parsers into a browser's bundle.
  const range = size > 0 ? `${start}-${start + size - 1}` : '*'
  return `bytes ${range}/${completeLength ?? '*'}`
}
