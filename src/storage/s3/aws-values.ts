/** Writes and reads the values in the requests and answers of the S3 API. */
import type { CopySource, ListedMultipart, ObjectHeaders } from './bucket.ts'

/** Members of a request that creates an object. */
interface ObjectFields {
  readonly ContentType: string | undefined
  readonly ContentDisposition: string | undefined
  readonly Metadata: Record<string, string> | undefined
}

/** Returns the members that describe a new object. */
export function fieldsOf(headers: Partial<ObjectHeaders>): ObjectFields {
  const { contentType, contentDisposition, metadata } = headers
  return {
    ContentType: contentType ?? undefined,
    ContentDisposition: contentDisposition ?? undefined,
    Metadata: metadata && { ...metadata },
  }
}

/** Returns one buffer, because the client signs the hash of a buffer, and can't send a list of them. */
export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
}

/** Returns the value of `Range` for bytes `start` to `end` (exclusive). */
export function rangeField(range: { readonly start: number; readonly end: number }): string {
  return `bytes=${range.start}-${range.end - 1}`
}

/** Returns the value of `CopySource`. */
export function copySource(bucket: string, { key, versionId }: CopySource): string {
  const path = [bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  return versionId === undefined ? path : `${path}?versionId=${encodeURIComponent(versionId)}`
}

/** Returns a key of a list with `EncodingType`. Amazon S3 writes a space as `+`, other engines write `%20`. */
export function decodeKey(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** Returns the page after the multipart upload `last` as one string. Upload ids contain no space, keys may. */
export function pageAfter({ upload, key }: ListedMultipart): string {
  return `${upload} ${key}`
}

/** Returns the members of a request for the page that `pageAfter` has returned. */
export function markersOf(page: string): { UploadIdMarker: string; KeyMarker: string } {
  const space = page.indexOf(' ')
  return { UploadIdMarker: page.slice(0, space), KeyMarker: page.slice(space + 1) }
}
