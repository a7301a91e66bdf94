/**
 * The headers of the parts of a patch document. They are Blobs, so that the content of a request is
 * a list of Blobs and the bytes of a file need not be read into memory.
 */

/** Header fields by name. A field without a value, or with an empty one, is not sent. */
export type Fields = Readonly<Record<string, string | null | undefined>>

/** Encodes the delimiter of a part, its header fields, and the blank line after them. */
export function encodeHeader(fields: Fields, delimiter: string = ''): Blob {
  const lines = Object.entries(fields).map(([name, value]) =>
    value ? `${name}: ${value}\r\n` : '',
  )
  return new Blob([delimiter, ...lines, '\r\n'])
}

/**
 * Formats the `Content-Range` of `size` bytes from `start` on (RFC 9110 §14.4). If `size` is 0, the
 * range is `*`, so that the field only declares the complete length. A complete length that is null
 * or not given is written as `*`.
 */
export function contentRange(start: number, size: number, completeLength?: number | null): string {
  // The server has a function for this in `fields/`. Importing it would add its parsers to every
  // bundle for browsers.
  const range = size > 0 ? `${start}-${start + size - 1}` : '*'
  return `bytes ${range}/${completeLength ?? '*'}`
}
