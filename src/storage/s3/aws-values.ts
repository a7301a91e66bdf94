/** Formats and parses values in the requests and answers of the S3 API. */
import { BucketError } from './bucket.ts'
import type {
  CopySource,
  ListedMultipart,
  ObjectHeaders,
  ObjectInfo,
  PresignedAnswer,
} from './bucket.ts'

/** The members of a request that describe a new object. */
interface ObjectFields {
  readonly ContentType: string | undefined
  readonly ContentDisposition: string | undefined
  readonly Metadata: Record<string, string> | undefined
}

/** The members of a presigned request that describe its answer. */
interface AnswerFields {
  readonly VersionId: string | undefined
  readonly ResponseContentType: string
  readonly ResponseContentDisposition: string | undefined
  readonly ResponseCacheControl: string
}

/** The members of an answer about one object. An answer to HEAD has no `ContentRange`. */
interface ObjectOutput {
  readonly ETag?: string | undefined
  readonly ContentRange?: string | undefined
  readonly ContentLength?: number | undefined
  readonly LastModified?: Date | undefined
  readonly ContentType?: string | undefined
  readonly Metadata?: Record<string, string> | undefined
  readonly VersionId?: string | undefined
}

/**
 * Returns a member of an answer. An answer that was cut off may lack it, and is treated like none:
 * `unavailable`.
 */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new BucketError('unavailable', null)
  return value
}

/** Returns the members of a request that describe a new object. */
export function fieldsOf(headers: Partial<ObjectHeaders>): ObjectFields {
  const { contentType, contentDisposition, metadata } = headers
  return {
    ContentType: contentType ?? undefined,
    ContentDisposition: contentDisposition ?? undefined,
    Metadata: metadata && { ...metadata },
  }
}

/**
 * Returns the chunks as one buffer. The client signs the hash of the body, and can't send a list of
 * buffers.
 */
export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
}

/** Returns the members of a presigned request that describe its answer. */
export function answerFields({
  versionId,
  contentType,
  contentDisposition,
}: PresignedAnswer): AnswerFields {
  return {
    VersionId: versionId ?? undefined,
    ResponseContentType: contentType,
    ResponseContentDisposition: contentDisposition ?? undefined,
    // A cache has to revalidate the file, because it can change at any time.
    ResponseCacheControl: 'no-cache',
  }
}

/** Returns the value of `Range` for bytes `start` to `end` (exclusive). */
export function rangeField(range: { readonly start: number; readonly end: number }): string {
  return `bytes=${range.start}-${range.end - 1}`
}

/** Returns the value of `CopySource`: the percent-encoded bucket, key and version of the source. */
export function copySource(bucket: string, { key, versionId }: CopySource): string {
  const path = [bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  return versionId === undefined ? path : `${path}?versionId=${encodeURIComponent(versionId)}`
}

/**
 * Decodes a key in a list that was requested with `EncodingType`. Amazon S3 encodes a space as `+`,
 * other stores as `%20`.
 */
export function decodeKey(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/**
 * Returns the place after the multipart upload `last` in a list, as one string, from which
 * `markersOf` makes the request for the next page. The id of the upload comes first, because it
 * contains no space and a key may contain some.
 */
export function pageAfter({ upload, key }: ListedMultipart): string {
  return `${upload} ${key}`
}

/** Returns the members of a request for the page that `pageAfter` has returned. */
export function markersOf(page: string): { UploadIdMarker: string; KeyMarker: string } {
  const space = page.indexOf(' ')
  return { UploadIdMarker: page.slice(0, space), KeyMarker: page.slice(space + 1) }
}

/**
 * Returns the properties of an object. In the answer to a range, the size of the whole object is in
 * `Content-Range`.
 */
export function infoOf(output: ObjectOutput): ObjectInfo {
  const total = /\/(\d+)$/.exec(output.ContentRange ?? '')?.[1]
  return {
    etag: present(output.ETag),
    size: total === undefined ? present(output.ContentLength) : Number(total),
    lastModified: present(output.LastModified),
    contentType: output.ContentType ?? null,
    metadata: output.Metadata ?? {},
    versionId: output.VersionId ?? null,
  }
}
